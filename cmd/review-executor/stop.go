package main

import (
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newStop() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "stop APP",
		GroupID: "admin",
		Short:   "Stop a review app and remove everything of it",
		Long: `stop removes the app's virtual host, containers, network, volumes, images and
record. APP is its host label, as "review-executor list" shows it.`,
		Args: exactly(1),
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
			if dryRun && app.Host == "" {
				log.Line("Would remove what a killed deploy or stop has left of %s", app.Name)
				return nil
			}
			if dryRun {
				log.Line("Would stop review app %s of %s, environment %q, and remove everything of it", app.Name, app.Project, app.Environment)
				return nil
			}
			return l.Stop(cmd.Context(), app, review.ByAdministrator, log)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}
