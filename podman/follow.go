package podman

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"

	"gitlab.com/review-executor/review-executor/review"
)

// Follow passes on what a container writes. See review.Insight.
func (p *Podman) Follow(ctx context.Context, id string, query review.LogQuery, each func(review.LogPiece) error) error {
	calling, cancel := context.WithCancel(ctx)
	defer cancel()
	options := new(containers.LogOptions).WithStdout(true).WithStderr(true).WithTimestamps(true).WithFollow(query.Follow)
	if query.Lines >= 0 {
		options = options.WithTail(strconv.Itoa(query.Lines))
	}
	if !query.Since.IsZero() {
		options = options.WithSince(query.Since.UTC().Format(time.RFC3339Nano))
	}
	var (
		stdout, stderr = make(chan string), make(chan string)
		done           = make(chan error, 1)
		failed         error
	)
	go func() { done <- containers.Logs(p.call(calling), id, options, stdout, stderr) }()
	pass := func(text string, isStderr bool) {
		piece := logPiece(text)
		piece.Stderr = isStderr
		// Podman 4.3 follows a log from its end, whatever since says of what was before.
		if failed == nil && !piece.Time.Before(query.Since) {
			if failed = each(piece); failed != nil {
				cancel()
			}
		}
	}
	for {
		select {
		case text := <-stdout:
			pass(text, false)
		case text := <-stderr:
			pass(text, true)
		case err := <-done:
			switch {
			case failed != nil:
				return failed
			case ctx.Err() != nil:
				return ctx.Err()
			default:
				return p.explain(err, "read the log of container %s", id)
			}
		}
	}
}

// logPiece takes the time off: "2026-11-21T14:41:21.912441571+00:00 text".
func logPiece(text string) review.LogPiece {
	stamp, rest, found := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if !found || err != nil {
		return review.LogPiece{Text: text}
	}
	return review.LogPiece{Time: at, Text: rest}
}
