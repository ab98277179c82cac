package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newCleanup() *cobra.Command {
	return &cobra.Command{
		Use:     "cleanup",
		GroupID: "driver",
		Short:   "Remove a job's containers; its review app stays",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			outliveQuit()
			e, err := newExecutor(context.WithoutCancel(cmd.Context()), cmd) // which finishes what it has begun
			if err != nil {
				return err
			}
			return e.Observe("cleanup", func() error { return e.Cleanup(cmd.Context()) })
		},
	}
}
