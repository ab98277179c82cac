package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AppLog asks for what an app's containers have written.
type AppLog struct {
	Name      string // of the app
	Companion string // its name or an alias of it; "": the app itself
	Query     LogQuery
	Each      func(LogPiece) error
	// Note is told what happens to the app meanwhile.
	Note func(format string, args ...any)
}

// followPoll is how long Follow waits before it looks again at what became of the app.
const followPoll = 300 * time.Millisecond

// ReadLog passes on what the app's container, or one of its companions', has
// written, and, if it is to follow, what that and its successors write, until the
// app is stopped or ctx ends, which is then no error.
func (l *Lifecycle) ReadLog(ctx context.Context, wanted AppLog) error {
	follower := follower{Lifecycle: l, AppLog: wanted}
	source, err := follower.container()
	if err != nil {
		return err
	}
	follower.source = source
	for {
		err := follower.read(ctx)
		switch {
		case !wanted.Query.Follow:
			return err
		case ctx.Err() != nil:
			return nil
		case follower.failed != nil:
			return follower.failed
		}
		if err != nil {
			wanted.Note("%v; waiting for it to run", err)
		}
		if more, err := follower.successor(ctx); !more {
			return err
		}
	}
}

// follower reads one container after the other.
type follower struct {
	*Lifecycle
	AppLog
	source string    // the container
	last   time.Time // when the last piece was written; zero: nothing was read yet
	seen   int       // how many were written at that time
	failed error     // of Each
}

// container names the one that is wanted.
func (f *follower) container() (string, error) {
	record, err := f.Records.Load(f.Name)
	if err != nil {
		return "", unreadable(f.Name, err)
	}
	if record == nil {
		return "", f.noSuchApp(f.Name)
	}
	if f.Companion != "" {
		return f.companion(*record)
	}
	switch {
	case record.Live.ID == "":
		return "", &Failure{What: fmt.Sprintf("review app %q is not deployed yet", f.Name), Hint: "its job's log tells how far it is"}
	case record.Live.Static:
		return "", &Failure{
			What: fmt.Sprintf("review app %q is a static site: Apache serves its files, and no process of its own writes a log", f.Name),
			Hint: fmt.Sprintf("\"review-executor logs %s --access\" shows who asked it for what", f.Name),
		}
	}
	return containerName(f.Name, record.Live), nil
}

func (f *follower) companion(record Record) (string, error) {
	all := slices.Clone(record.Live.Companions)
	for _, p := range record.Pending {
		all = append(all, p.Companions...)
	}
	var names []string
	for _, c := range all {
		if c.Name == f.Companion || slices.Contains(c.Aliases, f.Companion) {
			return companionContainer(f.Name, c), nil
		}
		names = append(names, c.Name)
	}
	failure := &Failure{What: fmt.Sprintf("review app %q has no companion %q", f.Name, Printable(f.Companion, 80)), Hint: "it has none at all"}
	if len(names) > 0 {
		failure.Hint = "it has " + strings.Join(slices.Compact(names), ", ")
	}
	return "", failure
}

// margin is how many lines more than wanted are read, to know how many of the last
// second there are: some engines tell the time of a line to the second only.
const margin = 200

// read passes on what the container writes, from where it was left.
func (f *follower) read(ctx context.Context) error {
	if f.Query.Follow && f.Query.Lines >= 0 {
		if err := f.begin(ctx); err != nil {
			return err
		}
		f.Query.Lines = -1 // from there on
	}
	query, skip := f.Query, f.seen
	if !f.last.IsZero() {
		query.Since = f.last
	}
	return f.Containers.Follow(ctx, f.source, query, func(piece LogPiece) error {
		if skip > 0 && !piece.Time.After(query.Since) {
			skip--
			return nil
		}
		return f.pass(piece, true)
	})
}

// begin passes on the last lines, and notes where they end.
func (f *follower) begin(ctx context.Context) error {
	var pieces []LogPiece
	query := f.Query
	query.Lines, query.Follow = query.Lines+margin, false
	err := f.Containers.Follow(ctx, f.source, query, func(piece LogPiece) error {
		pieces = append(pieces, piece)
		return nil
	})
	for i, piece := range pieces {
		if err := f.pass(piece, i >= len(pieces)-f.Query.Lines); err != nil {
			return err
		}
	}
	return err
}

// pass notes a piece, and passes it on if it is wanted.
func (f *follower) pass(piece LogPiece, wanted bool) error {
	if piece.Time.After(f.last) {
		f.last, f.seen = piece.Time, 0
	}
	f.seen++
	if wanted {
		f.failed = f.Each(piece)
	}
	return f.failed
}

// successor waits until the container runs again, or another has taken its place.
// Without an error, more tells whether there is any.
func (f *follower) successor(ctx context.Context) (more bool, err error) {
	for {
		record, err := f.Records.Load(f.Name)
		if err != nil {
			return false, unreadable(f.Name, err)
		}
		if record == nil || record.Stopping {
			f.Note("review app %s was stopped%s", f.Name, f.why(record))
			return false, nil
		}
		name, err := f.container()
		if err != nil {
			return false, err // it has become a static site, or lost that companion
		}
		if name != f.source {
			f.Note("review app %s is now version %s", f.Name, shortSHA(record.Live.SHA))
			f.source, f.last, f.seen = name, time.Time{}, 0
			f.Query.Lines, f.Query.Since = -1, time.Time{}
			return true, nil
		}
		if state, err := f.Containers.State(ctx, name); err == nil && state.Running {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(followPoll):
		}
	}
}

// why the app has ended, or is about to, as the end of a sentence; "": nobody knows.
func (f *follower) why(record *Record) string {
	if record != nil && record.Why != "" {
		return ": " + record.Why
	}
	if e, err := f.Records.Ending(f.Name); err == nil && e != nil && record == nil && e.Reason != "" {
		return ": " + e.Reason
	}
	return ""
}

// noSuchApp says how an app has ended, if that is remembered.
func (l *Lifecycle) noSuchApp(name string) error {
	failure := &Failure{
		What: fmt.Sprintf("there is no review app %q", Printable(name, 80)),
		Hint: `"review-executor list" shows those that are there`,
	}
	if e, err := l.Records.Ending(name); err == nil && e != nil {
		failure.Lines = []string{fmt.Sprintf("it was stopped at %s: %s", e.At.Format(time.DateTime+" MST"), e.Reason)}
		failure.Lines = append(failure.Lines, fmt.Sprintf("it was of %s, environment %q", e.Project, e.Environment))
	}
	return failure
}
