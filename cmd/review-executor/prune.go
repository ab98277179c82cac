package main

import (
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newPrune() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "prune",
		GroupID: "admin",
		Short:   "Remove what killed jobs have left",
		Long: `prune removes the containers, networks and workspaces of jobs whose runner was
killed before it cleaned up. Jobs that run and review apps are not touched. The
next job does the same before it starts.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			jobs, err := e.Leftovers(cmd.Context())
			if err != nil {
				return err
			}
			log := review.NewLog(cmd.OutOrStdout())
			if len(jobs) == 0 {
				log.Line("No killed job has left anything.")
			}
			for _, job := range jobs {
				if dryRun {
					log.Line("Would remove what job %d has left", job)
					continue
				}
				if err := e.RemoveJob(cmd.Context(), job); err != nil {
					return err
				}
				log.Line("Removed what job %d has left", job)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}
