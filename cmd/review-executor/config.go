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
			outliveQuit()
			// A configuration that cannot be used is said here, before any job starts.
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			log := operatorLog(cmd)
			e := &executor.Executor{
				Apps:     newLifecycle(s, nil, nil, log),
				Policy:   s.Policy,
				Hostname: s.hostname,
				Env:      executor.Environ(os.Environ()),
				Stdout:   cmd.OutOrStdout(),
				Operator: log,
			}
			return e.Observe("config", func() error { return e.Config(version) })
		},
	}
}
