package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

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
