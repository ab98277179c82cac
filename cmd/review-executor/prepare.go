package main

import (
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/podman"
)

func newPrepare() *cobra.Command {
	return &cobra.Command{
		Use:     "prepare",
		GroupID: "driver",
		Short:   "Start a job's containers",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			outliveQuit()
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			if missing := podman.Unenforced(e.Isolation); len(missing) > 0 {
				e.Operator.Warnf("this host's cgroups cannot limit %s: containers run without; see docs/troubleshooting.md", strings.Join(missing, ", "))
			}
			return e.Observe("prepare", func() error { return e.Prepare(cmd.Context()) })
		},
	}
}
