package review

import "time"

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
