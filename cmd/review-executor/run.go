package main

import (
	"errors"

	"github.com/spf13/cobra"
)

var errRunArgs = errors.New("run needs SCRIPT and STAGE")

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:     "run SCRIPT STAGE",
		GroupID: "driver",
		Short:   "Run one script of a job, and deploy or stop its review app",
		Args:    cobra.ArbitraryArgs, // the runner puts its own behind those of its configuration
		RunE: func(cmd *cobra.Command, args []string) error {
			outliveQuit()
			if len(args) < 2 {
				return usageError{errRunArgs}
			}
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			script, stage := args[len(args)-2], args[len(args)-1]
			return e.Observe(stage, func() error { return e.Run(cmd.Context(), script, stage) })
		},
	}
}
