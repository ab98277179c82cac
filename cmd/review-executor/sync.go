package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newSync() *cobra.Command {
	var options review.SyncOptions
	cmd := &cobra.Command{
		Use:     "sync",
		GroupID: "admin",
		Short:   "Bring everything to what the records and GitLab say",
		Long: `sync starts what should serve and does not, applies the virtual hosts, finishes
deploys and stops that were killed, and removes what no record owns. It is safe
to run at any time: apps that somebody works on are left to them, and one app's
trouble does not keep it from the others.

Then it stops the apps that GitLab has no more: those whose branch,
environment, merge request or project has ended, and those whose time is over.
What GitLab does not say for certain stays, and one run stops only a share of
all apps (lifetime.sync_share).`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := connectedLifecycle(cmd)
			if err != nil {
				return err
			}
			progress := newProgress(cmd.ErrOrStderr(), 0, "syncing")
			defer progress.done()
			countSteps(l, progress)
			out := readable(cmd.OutOrStdout()) // release commands may run again
			defer out.Close()
			log := review.NewLog(progress.around(out))
			err = l.Sync(cmd.Context(), log, options)
			if !options.DryRun && cmd.Context().Err() == nil {
				err = errors.Join(err, l.Relieve(cmd.Context(), log))
				sampleUsage(cmd.Context(), l, log)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&options.Yes, "yes", false, "go on however many apps have no record, or have ended")
	return cmd
}

const sampleTimeout = 2 * time.Minute // a thousand containers take a second or two

// countSteps has progress count the steps that are done.
func countSteps(l *review.Lifecycle, p *progress) {
	done := l.Done
	l.Done = func(app, step string) {
		p.step()
		done(app, step)
	}
}

// sampleUsage counts what the apps have used since the last time. That some of it
// cannot be measured is no trouble of any app.
func sampleUsage(ctx context.Context, l *review.Lifecycle, log *review.Log) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	if err := l.SampleUsage(ctx, time.Now()); err != nil {
		for line := range strings.Lines(err.Error()) {
			log.Line("WARNING: usage is not counted whole: %s", strings.TrimSpace(line))
		}
	}
}
