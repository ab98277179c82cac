package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/podman"
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
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			app, err := recordedApp(review.NewRecords(s.StateDir), args[0])
			if err != nil {
				return err
			}
			log := review.NewLog(cmd.OutOrStdout())
			if dryRun {
				log.Line("Would stop review app %s of %s, environment %q, and remove everything of it", app.Name, app.Project, app.Environment)
				return nil
			}
			engine, err := podman.Connect(cmd.Context(), s.Podman.Socket)
			if err != nil {
				return err
			}
			return newLifecycle(s, engine).Stop(cmd.Context(), app, log)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func recordedApp(records *review.Records, name string) (review.App, error) {
	record, err := records.Load(name)
	if err != nil {
		return review.App{}, err
	}
	if record == nil {
		return review.App{}, &review.Failure{
			What:  fmt.Sprintf("there is no review app %q", name),
			State: "nothing was changed",
			Hint:  `"review-executor list" shows those that are there`,
		}
	}
	return record.App, nil
}
