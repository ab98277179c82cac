package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Selection chooses apps by their records. Its zero value chooses all.
type Selection struct {
	Names    []string // patterns of the apps' names: shop-*; none: any
	Project  string   // pattern of the project's full path: group/**; "": any
	States   []string // of States, one of which the app must be in; none: any
	Older    time.Duration
	Newer    time.Duration   // since the release that serves was deployed; 0: any age
	Asleep   map[string]bool // apps that sleep, for the state "sleeping"
	Unpinned bool            // leaves out what is pinned, but for those whose very name is in Names
}

// States of an app, as Selection and people call them. An app may be live,
// pinned and expiring at once; one that sleeps is live, too.
var States = []string{"live", "sleeping", "deploying", "stopping", "static", "pinned", "expiring"}

// Problem says what is wrong with the selection, or nothing.
func (s Selection) Problem() error {
	for _, pattern := range append(slices.Clone(s.Names), s.Project) {
		if !doublestar.ValidatePattern(pattern) {
			return fmt.Errorf("%q is no pattern", pattern)
		}
	}
	for _, state := range s.States {
		if !slices.Contains(States, state) {
			return fmt.Errorf("%q is no state; there are %s", state, strings.Join(States, ", "))
		}
	}
	if s.Older < 0 || s.Newer < 0 {
		return fmt.Errorf("an age is more than nothing")
	}
	return nil
}

// Any tells whether the selection chooses by anything but names.
func (s Selection) Any() bool {
	return s.Project != "" || len(s.States) > 0 || s.Older > 0 || s.Newer > 0
}

// Chooses tells whether the app is chosen, by the time that is now.
func (s Selection) Chooses(r Record, now time.Time) bool {
	named := func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, r.Name) }
	switch deployed := r.lastDeployed(); {
	case len(s.Names) > 0 && !slices.ContainsFunc(s.Names, named):
		return false
	case s.Project != "" && !doublestar.MatchUnvalidated(s.Project, r.Project):
		return false
	case len(s.States) > 0 && !slices.ContainsFunc(s.States, func(state string) bool { return s.is(r, state) }):
		return false
	case s.Older > 0 && (deployed.IsZero() || now.Sub(deployed) < s.Older):
		return false
	case s.Newer > 0 && (deployed.IsZero() || now.Sub(deployed) > s.Newer):
		return false
	}
	return !s.Unpinned || !r.Pinned || slices.Contains(s.Names, r.Name)
}

// is tells whether the app is in one of States.
func (s Selection) is(r Record, state string) bool {
	return r.Is(state) || state == "sleeping" && s.Asleep[r.Name]
}

// State is the app's in one word: stopping, deploying or live.
func (r Record) State() string {
	switch {
	case r.Stopping:
		return "stopping"
	case r.Live.ID == "":
		return "deploying"
	default:
		return "live"
	}
}

// Is tells whether the app is in one of States, as far as a record says: not whether it sleeps.
func (r Record) Is(state string) bool {
	switch state {
	case "pinned":
		return r.Pinned
	case "static":
		return r.Live.Static
	case "expiring":
		return !r.AutoStop.IsZero()
	case "deploying":
		return len(r.Pending) > 0 && !r.Stopping
	default:
		return r.State() == state
	}
}

// lastDeployed is when the release was deployed that serves, or begun that will be
// the first.
func (r Record) lastDeployed() time.Time {
	if r.Live.ID == "" && len(r.Pending) > 0 {
		return r.Pending[0].Deployed
	}
	return r.Live.Deployed
}

// IsPattern tells a pattern from the name of an app.
func IsPattern(name string) bool { return strings.ContainsAny(name, `*?[{\`) }
