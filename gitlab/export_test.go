package gitlab

import "time"

func init() { firstWait, longestWait = time.Millisecond, 2*time.Millisecond }

var Trim = trim
