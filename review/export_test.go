package review

// OneAppAtATime makes Sync work in a fixed order, for tests that repeat what
// they did.
func OneAppAtATime() { syncedAtOnce = 1 }
