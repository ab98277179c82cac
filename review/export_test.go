package review

import (
	"context"
	"io"
	"testing"
	"time"
)

// OneAppAtATime makes Sync work in a fixed order, for tests that repeat what
// they did.
func OneAppAtATime() { syncedAtOnce = 1 }

// ReachedWithin is how long an app may listen without being reached, until the
// returned function is called.
func ReachedWithin(d time.Duration) (restore func()) {
	before := reachable
	reachable = d
	return func() { reachable = before }
}

// Heal makes what is missing of an app, as Sync does while it holds the app's lock.
func Heal(ctx context.Context, l *Lifecycle, r Record) error {
	d, err := l.findRelease(r.Name, r.Live.ID, NewLog(io.Discard))
	if err != nil {
		return err
	}
	there, err := d.containersOf(ctx, r.Name)
	if err != nil {
		return err
	}
	_, err = d.heal(ctx, there)
	return err
}

// AgeAttempt makes the app's attempt so much older.
func AgeAttempt(t *testing.T, r *Records, app string, by time.Duration) {
	t.Helper()
	a, found := r.attempts()[app]
	if !found {
		t.Fatalf("there is no attempt of %s", app)
	}
	a.Ended = a.Ended.Add(-by)
	if err := r.saveAttempt(a); err != nil {
		t.Fatal(err)
	}
}
