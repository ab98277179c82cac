// Package doctor looks at what a review host needs, and says of each thing
// whether it is there, or what is wrong and the command that mends it.
//
// A check changes nothing. It looks at plain inputs, or asks through a function
// that it is given, and knows neither the container engine nor the web server.
// The commands are root's, because most of what is wrong with a host only root
// can mend.
//
// Start reading at Run.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"gitlab.com/review-executor/review-executor/review"
)

// Level is how bad it is.
type Level string

// The levels, from the best.
const (
	OK   Level = "ok"
	Skip Level = "skip" // it could not be looked at, and another line says why or who can
	Warn Level = "warn" // all works, and will not for ever, or not as well as it could
	Fail Level = "fail" // something does not work
)

// Finding is one line of what was seen.
type Finding struct {
	Check string   `json:"check"`
	Level Level    `json:"level"`
	Seen  string   `json:"seen"`
	Mend  []string `json:"mend,omitempty"` // commands for root's shell, to be run in this order
	// ByHand tells that somebody is to think before the commands are run, because they end or
	// remove what may be wanted, or change what is not this program's.
	ByHand bool `json:"by_hand,omitempty"`
}

// Check looks at one thing.
type Check struct {
	Name string
	// Look returns at least one finding. Its context ends when its time is over.
	Look func(context.Context) []Finding
}

// Run does all checks at the same time and returns what they found in the order of
// the checks. One that has not answered after timeout is told of and left alone.
func Run(ctx context.Context, checks []Check, timeout time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := make([][]Finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() { found[i] = check.within(ctx, timeout) })
	}
	group.Wait()
	var all []Finding
	for i, check := range checks {
		for _, f := range found[i] {
			f.Check = check.Name
			f.Seen = printable(f.Seen)
			f.Mend = shown(f.Mend)
			all = append(all, f)
		}
	}
	return all
}

// shown are commands as a terminal may show them: one that names what cannot be printed, such as
// a user whose name has control characters, is left out.
func shown(mend []string) []string {
	return slices.DeleteFunc(slices.Clone(mend), func(line string) bool {
		return strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
	})
}

// patience is for a check that has just seen its context end to say what it knows.
const patience = time.Second

// within does one check. A system call that never returns, as on a dead network
// file system, keeps nobody but itself.
func (c Check) within(ctx context.Context, timeout time.Duration) []Finding {
	done := make(chan []Finding, 1)
	go func() { done <- c.Look(ctx) }()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
	}
	select {
	case found := <-done:
		return found
	case <-time.After(patience):
		return fail(fmt.Sprintf("no answer within %s", timeout))
	}
}

// Worst is the worst level of all.
func Worst(found []Finding) Level {
	worst := OK
	for _, f := range found {
		switch f.Level {
		case Fail:
			return Fail
		case Warn:
			worst = Warn
		}
	}
	return worst
}

func ok(format string, args ...any) []Finding   { return one(OK, fmt.Sprintf(format, args...)) }
func skip(format string, args ...any) []Finding { return one(Skip, fmt.Sprintf(format, args...)) }

// warn and fail take what is wrong and the commands that mend it.
func warn(seen string, mend ...string) []Finding { return one(Warn, seen, mend...) }
func fail(seen string, mend ...string) []Finding { return one(Fail, seen, mend...) }

func one(level Level, seen string, mend ...string) []Finding {
	return []Finding{{Level: level, Seen: seen, Mend: mend}}
}

// byHand are the same findings, for somebody who thinks.
func byHand(found []Finding) []Finding {
	for i := range found {
		found[i].ByHand = true
	}
	return found
}

// orOK are the problems, or else that all is well.
func orOK(problems []Finding, format string, args ...any) []Finding {
	if len(problems) > 0 {
		return problems
	}
	return ok(format, args...)
}

// printable is text from anywhere in one line.
func printable(text string) string {
	return review.Printable(strings.Join(strings.Fields(text), " "), 400)
}
