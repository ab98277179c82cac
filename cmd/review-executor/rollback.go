package main

import (
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newRollback() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "rollback APP",
		GroupID: "admin",
		Short:   "Bring back the version before the one that serves",
		Long: `rollback starts the version before from the image that was kept, waits until it
is healthy, publishes it and then retires the one that served, which becomes the
version before. The release command does not run; volumes stay as they are. A
pipeline older than the newest that has deployed is still refused.`,
		Args:              exactly(1),
		ValidArgsFunction: appNamesOf(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := connectedLifecycle(cmd)
			if err != nil {
				return err
			}
			app, err := l.Find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			log := review.NewLog(cmd.OutOrStdout())
			if !dryRun {
				return l.Rollback(cmd.Context(), app, log)
			}
			record, err := l.Records.Load(app.Name)
			if err != nil {
				return err
			}
			if record == nil || record.Previous == nil {
				log.Line("There is no version of review app %s to go back to", app.Name)
				return nil
			}
			log.Line("Would roll review app %s back from version %.7s to version %.7s", app.Name, record.Live.SHA, record.Previous.SHA)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}
