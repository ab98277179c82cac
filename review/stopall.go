package review

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// stoppedAtOnce is how many apps StopAll works on at the same time.
const stoppedAtOnce = 4

// StopAll stops the apps, a few at a time. One's trouble does not keep it from the
// others: it is told in the log, and the error says how many had any. stopped is
// called after each, in no order.
func (l *Lifecycle) StopAll(ctx context.Context, apps []App, log *Log, stopped func(App)) error {
	problems := make([]error, len(apps))
	var group errgroup.Group
	group.SetLimit(stoppedAtOnce)
	for i, app := range apps {
		group.Go(func() error {
			if ctx.Err() == nil {
				problems[i] = l.Stop(ctx, app, ByAdministrator, log)
			}
			stopped(app)
			return nil
		})
	}
	_ = group.Wait() // the problems are by app
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed []string
	for i, problem := range problems {
		if problem != nil {
			failed = append(failed, apps[i].Name)
			f := *AsFailure(problem)
			f.What = apps[i].Name + ": " + f.What
			problems[i] = &f
		}
	}
	say(problems, log)
	if len(failed) == 0 {
		return nil
	}
	slices.Sort(failed)
	return &Failure{
		What:  fmt.Sprintf("%d of %d apps could not be stopped: %s", len(failed), len(apps), Printable(strings.Join(failed, ", "), 300)),
		State: "the others are gone; what is wrong is said above",
		Hint:  "stopping them again is safe and continues where this ended",
	}
}
