package review

import (
	"errors"
	"strings"
)

// Kind says whose turn it is after a failure.
type Kind int

const (
	// System: our fault or the host's. The runner may try again.
	System Kind = iota
	// Build: the job's fault. Trying again would not help.
	Build
)

// Failure is an error as a person meets it: the fact, the cause verbatim, what
// state remains and who does what next. Only cmd turns it into an exit code.
type Failure struct {
	Kind  Kind
	What  string   // one sentence with names: review app "shop" was not healthy
	Cause error    // may be nil
	Lines []string // more of the cause: an answer, the app's last lines
	State string   // what remains: the version of 3f2c1a9 is still serving
	Hint  string   // what to do next
}

// Error is the failure in one line, for logs.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return f.What + ": " + f.Cause.Error()
	}
	return f.What
}

func (f *Failure) Unwrap() error { return f.Cause }

// Text is the failure for a job log or a terminal, over several lines.
func (f *Failure) Text() string {
	var b strings.Builder
	what, more, _ := strings.Cut(f.What, "\n")
	b.WriteString("ERROR: " + Printable(what, 500) + "\n")
	var rest []string
	if more != "" {
		rest = strings.Split(more, "\n")
	}
	if f.Cause != nil {
		rest = append(rest, strings.Split(strings.TrimSpace(f.Cause.Error()), "\n")...)
	}
	rest = append(rest, f.Lines...)
	if f.State != "" {
		rest = append(rest, f.State)
	}
	if f.Hint != "" {
		rest = append(rest, "hint: "+f.Hint)
	}
	for _, line := range rest {
		b.WriteString("  " + Printable(line, 500) + "\n")
	}
	return b.String()
}

// AsFailure finds the Failure in err. Any other error is a system failure that
// says itself.
func AsFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{What: err.Error()}
}

// remaining notes on err what state a failed deploy left.
func remaining(err error, state string) error {
	f := *AsFailure(err)
	if f.State == "" {
		f.State = state
	}
	return &f
}
