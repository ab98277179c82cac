package main

import "github.com/spf13/cobra"

func newCleanup() *cobra.Command {
	return &cobra.Command{
		Use:     "cleanup",
		GroupID: "driver",
		Short:   "Remove a job's containers; its review app stays",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			return e.Observe("cleanup", func() error { return e.Cleanup(cmd.Context()) })
		},
	}
}
