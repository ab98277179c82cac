package review

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// FrontUnit runs RunFront in the place of this process: as somebody who may write
// what the front reads, which this process may not.
type FrontUnit interface {
	// Start starts a run, or joins the one that goes on, and returns when that has
	// ended. result says how, "done" if nothing was wrong. An error is a Failure
	// that says why no run could be had.
	Start(ctx context.Context) (result string, err error)
	// Results is the file in which each run tells what has become of it. Only who
	// runs it may write there.
	Results() string
	// Unfinished is the failure for runs that have not told what became of them.
	Unfinished(result string) error
}

// startsAtMost is how often the unit is started until a run has seen what there is:
// the first time may join a run that began before, the second may not.
const startsAtMost = 3

// applyByUnit is ApplyFront by a unit. What the caller has saved is seen by a run
// that begins from now on; of one that goes on nobody knows.
func (l *Lifecycle) applyByUnit(ctx context.Context) (refused map[string]error, err error) {
	before := readFrontRuns(l.FrontUnit.Results())
	var result string
	for range startsAtMost {
		if result, err = l.FrontUnit.Start(ctx); err != nil {
			return nil, err
		}
		if runs := readFrontRuns(l.FrontUnit.Results()); runs.Done > before.Begun {
			return runs.outcome()
		}
	}
	return nil, l.FrontUnit.Unfinished(result)
}

// RunFront is what the unit runs: it makes the front serve what the records say and
// leaves what has become of that in the file results, for those who wait for it, with
// a lock beside it. Of the state it only reads, and believes nothing.
func (l *Lifecycle) RunFront(ctx context.Context, results string) (refused map[string]error, err error) {
	lock := flock.New(filepath.Join(filepath.Dir(results), ".front.lock"), flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(0o600))
	// systemd runs one at a time, and somebody may run another by hand.
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock the front: %w", err)
	}
	defer func() { _ = lock.Close() }()
	runs := readFrontRuns(results)
	runs.Begun++
	saved := runs.save(results, 0o644) // before the records are read
	refused, err = l.applyFront(ctx)
	if err != nil {
		runs.fail(err)
	} else {
		runs.finish(refused)
	}
	if saved == nil {
		saved = runs.save(results, 0o644)
	}
	if saved != nil { // whoever waits must not take an earlier run's word
		saved = fmt.Errorf("tell what became of the front: %w", saved)
	}
	return refused, errors.Join(err, saved)
}
