package review

import (
	"context"
	"time"
)

// Insight is what those ask of the container engine, and do to it, who look after
// a host. Every method returns when ctx ends, and is safe to call at the same
// time as any other.
type Insight interface {
	// Follow passes on what a container writes, in the order in which it was
	// written, until each fails. Without query.Follow it ends with what has been
	// written so far, with it when the container ends.
	Follow(ctx context.Context, id string, query LogQuery, each func(LogPiece) error) error
	// Consumption tells what the running containers use that carry all of the
	// labels, as Objects understands them. One that ends meanwhile is left out.
	Consumption(ctx context.Context, labels map[string]string) ([]Consumption, error)
	// Space tells what the host has left for containers.
	Space(ctx context.Context) (Space, error)
	// Stored tells how much disk there is in what carries all of the labels, but for networks.
	Stored(ctx context.Context, labels map[string]string) ([]Stored, error)
	// BuildCache is what PruneBuildCache chooses from, in its order: an image is
	// behind all that are built on it. It is empty while anything is being built,
	// which may be about to use any of it.
	BuildCache(ctx context.Context) ([]Stored, error)
	// Discard removes one of what Stored and BuildCache tell of. What somebody uses
	// stays, and an image that has other names only loses this one; what is already gone is no error.
	Discard(ctx context.Context, stored Stored) (gone bool, err error)
}

// LogQuery says which part of a container's log is wanted.
type LogQuery struct {
	Lines  int       // the last ones; negative: all
	Since  time.Time // what was written then or later; zero: all
	Follow bool      // and whatever comes, too
}

// LogPiece is a line that a container wrote, or a part of a long one.
type LogPiece struct {
	Time   time.Time // when it was written, to the second at least
	Stderr bool
	Text   string // with the newline, if the line ends here
}

// Consumption is what a running container uses.
type Consumption struct {
	ID      string
	Name    string
	Labels  map[string]string
	Started time.Time
	CPU     time.Duration // of processors, since it was started
	Share   float64       // of one processor, on average since it was started: 1.5
	Memory  Bytes
	Limit   Bytes // of memory; what the host has, if there is none
}

// Stored is an object of the container engine that holds disk.
type Stored struct {
	Object
	ID      string    // "": the name is one
	Created time.Time // UTC
	// Size is what removing this object alone frees. What two share, neither frees.
	Size Bytes
}
