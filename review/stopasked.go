package review

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// stopPoll is how often a deploy looks whether its app is to be stopped.
const stopPoll = time.Second

// errStopped is the cause of a deploy's context when its app is to be stopped.
var errStopped = errors.New("the app is to be stopped")

func stoppedMeanwhile(app string) *Failure {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("review app %q was stopped while this job was running", app),
		Hint: "run the job again if it shall be there",
	}
}

// lockToStop is lock for a stop: it does not wait for the end of a long deploy.
func (l *Lifecycle) lockToStop(ctx context.Context, app App, log *Log) (unlock func(), err error) {
	if unlock, err = l.Records.TryLock(app.Name); err != nil || unlock != nil {
		return unlock, err
	}
	if err := l.Records.askStop(app.Name); err != nil {
		log.Line("WARNING: the deploy that goes on cannot be told of the stop and is waited for: %v", err)
	}
	if unlock, err = l.lock(ctx, app, log); err == nil {
		l.Records.forgetStop(app.Name)
	}
	return unlock, err
}

// watchStop returns a context that is cancelled when somebody wants to stop the app
// of a deploy that is wanted since then, until unwatch is called.
func (l *Lifecycle) watchStop(parent context.Context, app string, since time.Time) (ctx context.Context, unwatch func()) {
	ctx, cancel := context.WithCancelCause(parent)
	watching, stop := context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(stopPoll)
		defer tick.Stop()
		for {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
			}
			if l.Records.stopAsked(app, since) && watching.Err() == nil {
				cancel(errStopped)
				return
			}
		}
	}()
	return ctx, stop
}

// askStop tells the deploy that goes on that its app is to be stopped.
func (r *Records) askStop(app string) error {
	if err := os.MkdirAll(filepath.Join(r.dir, "stops"), 0o750); err != nil {
		return err
	}
	return renameio.WriteFile(r.stopPath(app), []byte(time.Now().Format(time.RFC3339Nano)), 0o640)
}

// stopAsked tells whether askStop was called after the time and is not answered.
func (r *Records) stopAsked(app string, after time.Time) bool {
	text, err := os.ReadFile(r.stopPath(app))
	if err != nil {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return err == nil && at.After(after)
}

// forgetStop removes what askStop has left.
func (r *Records) forgetStop(app string) { _ = os.Remove(r.stopPath(app)) }

func (r *Records) stopPath(app string) string { return filepath.Join(r.dir, "stops", app) }
