package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newPin() *cobra.Command {
	return pinCommand(true, &cobra.Command{
		Use:   "pin APP...",
		Short: "Keep review apps whatever becomes of their branches",
		Long: `pin keeps an app though its branch is deleted, its merge request is merged or
its environment is stopped or expires in GitLab. Redeploys go on. Only "stop APP"
and a job that stops the environment end it; "unpin" takes it back.`,
	})
}

func newUnpin() *cobra.Command {
	return pinCommand(false, &cobra.Command{
		Use:   "unpin APP...",
		Short: "Let review apps go with their branches again",
		Long: `unpin takes "pin" back: if the app's branch or environment is gone by now, the
next sync removes the app.`,
	})
}

func pinCommand(pinned bool, cmd *cobra.Command) *cobra.Command {
	var dryRun bool
	cmd.GroupID = "admin"
	cmd.Args = atLeast(1)
	cmd.ValidArgsFunction = appNamesOf(1000)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := settingsOf(cmd)
		if err != nil {
			return err
		}
		if err := checkOwner(s); err != nil {
			return err
		}
		l := newLifecycle(s, nil, nil, operatorLog(cmd)) // Podman is not asked
		log := review.NewLog(cmd.OutOrStdout())
		var failed []error
		for _, name := range args {
			failed = append(failed, pin(cmd, l, name, pinned, dryRun, log))
		}
		switch failed = withoutNil(failed); len(failed) {
		case 0:
			return nil
		case 1:
			return failed[0]
		default:
			return &review.Failure{What: fmt.Sprintf("%d of %d apps could not be changed", len(failed), len(args)), Cause: errors.Join(failed...)}
		}
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func withoutNil(all []error) (some []error) {
	for _, err := range all {
		if err != nil {
			some = append(some, err)
		}
	}
	return some
}

func pin(cmd *cobra.Command, l *review.Lifecycle, name string, pinned, dryRun bool, log *review.Log) error {
	record, err := l.Records.Load(name)
	if err != nil {
		return err
	}
	changed := record != nil && record.Pinned != pinned
	switch {
	case record == nil:
		return &review.Failure{What: "there is no review app \"" + review.Printable(name, 80) + "\"", State: "nothing of it was changed", Hint: `"review-executor list" shows those that are there`}
	case !dryRun:
		if changed, err = l.Pin(cmd.Context(), record.App, pinned, log); err != nil {
			return err
		}
	}
	log.Line("%s", pinText(name, pinned, changed, dryRun))
	return nil
}

func pinText(name string, pinned, changed, dryRun bool) string {
	switch {
	case !changed && pinned:
		return "Review app " + name + " is pinned already"
	case !changed:
		return "Review app " + name + " is not pinned"
	case pinned && dryRun:
		return "Would pin review app " + name
	case pinned:
		return "Pinned review app " + name + ": it stays whatever becomes of its branch, until it is stopped here or unpinned"
	case dryRun:
		return "Would unpin review app " + name
	default:
		return "Unpinned review app " + name + ": it goes with its branch and its environment again"
	}
}
