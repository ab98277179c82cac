package main

import (
	"os"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/executor"
)

func newConfig() *cobra.Command {
	return &cobra.Command{
		Use:     "config",
		GroupID: "driver",
		Short:   "Tell the runner where a job's directories are",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A configuration that cannot be used is said here, before any job starts.
			if _, err := settingsOf(cmd); err != nil {
				return err
			}
			e := executor.Executor{Env: executor.Environ(os.Environ()), Stdout: cmd.OutOrStdout()}
			return e.Config(version)
		},
	}
}
