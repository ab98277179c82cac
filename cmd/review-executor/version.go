package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// linkedVersion is set when a package is built: -ldflags "-X main.linkedVersion=1.2.3".
var linkedVersion string

// version is what this program says that it is.
var version = versionOf(linkedVersion, debug.ReadBuildInfo)

// versionOf is the version that was linked in, else that of the module ("go install
// …@v1.2.3") or of the checkout that it was built from, else "devel".
func versionOf(linked string, build func() (*debug.BuildInfo, bool)) string {
	if linked != "" {
		return linked
	}
	if info, ok := build(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "devel"
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: "admin",
		Short:   "Print the version",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "review-executor %s %s/%s\n", version, runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
