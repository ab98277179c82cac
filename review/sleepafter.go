package review

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SleepAfter is how long an app may have no connection before it goes to sleep:
// "1h", or "never".
type SleepAfter time.Duration

// Never is an app that does not sleep.
const Never SleepAfter = -1

// shortestSleep and longestSleep bound SleepAfter.
const (
	shortestSleep = time.Second
	longestSleep  = 30 * 24 * time.Hour
)

// UnmarshalText reads "never", "90m" or a number of seconds.
func (s *SleepAfter) UnmarshalText(text []byte) error {
	value := string(text)
	if value == "never" {
		*s = Never
		return nil
	}
	if _, err := strconv.Atoi(value); err == nil {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < shortestSleep || d > longestSleep {
		return fmt.Errorf("must be a time from 1s to 720h such as 90m, or never, not %s", Printable(string(text), 80))
	}
	*s = SleepAfter(d.Truncate(time.Second))
	return nil
}

// UnmarshalJSON reads the nanoseconds that a record has.
func (s *SleepAfter) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(s)) }

func (s SleepAfter) String() string {
	if s < 0 {
		return "never"
	}
	text := time.Duration(s).String() // 1h0m0s
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// beyond tells whether the app would be awake for longer than with the other.
func (s SleepAfter) beyond(other SleepAfter) bool {
	return other >= 0 && (s < 0 || s > other)
}

// sleepAfter is the project's wish, or the host's rule.
func (l Limits) sleepAfter(r Release) SleepAfter {
	if r.SleepAfter == 0 || (r.SleepAfter.beyond(l.SleepAfterMax) && r.SleepAfter.beyond(l.SleepAfter)) {
		return l.SleepAfter // the record is older than the rule
	}
	return r.SleepAfter
}
