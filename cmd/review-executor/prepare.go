package main

import "github.com/spf13/cobra"

func newPrepare() *cobra.Command {
	return &cobra.Command{
		Use:     "prepare",
		GroupID: "driver",
		Short:   "Start a job's containers",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			return e.Observe("prepare", func() error { return e.Prepare(cmd.Context()) })
		},
	}
}
