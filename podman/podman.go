// Package podman runs containers with Podman, over its API socket.
//
// It implements review.Containers and what the executor needs beside it, and
// knows neither what a review app nor what a CI job is: only images,
// containers, networks, volumes and their labels.
package podman

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/errorhandling"

	"gitlab.com/review-executor/review-executor/review"
)

const connectTimeout = 30 * time.Second

// Podman is a connection to one Podman service. It is safe to use from many
// goroutines.
type Podman struct {
	// StoreFile, if set, is where Space keeps what Podman is slow to tell.
	StoreFile string

	socket string
	conn   context.Context //nolint:containedctx // the bindings carry their connection in a context
}

// Connect reaches the Podman service at socket, such as
// unix:///run/user/999/podman/podman.sock.
func Connect(ctx context.Context, socket string) (*Podman, error) {
	// Only the connection's values are used later, so the context may end.
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := bindings.NewConnection(ctx, socket)
	if err != nil {
		return nil, unreachable(socket, err)
	}
	return &Podman{socket: socket, conn: conn}, nil
}

// call is ctx with the connection in it: the bindings look it up among the
// context's values.
func (p *Podman) call(ctx context.Context) context.Context {
	return connected{Context: ctx, conn: p.conn}
}

type connected struct {
	context.Context                 //nolint:containedctx // it is one
	conn            context.Context //nolint:containedctx // the bindings carry their connection in a context
}

func (c connected) Value(key any) any {
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.conn.Value(key)
}

// explain is the one place where Podman's errors become ours: doing says what
// was asked, with names.
func (p *Podman) explain(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	var (
		f    *review.Failure
		dial *net.OpError
	)
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &dial) && dial.Op == "dial":
		return unreachable(p.socket, err)
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(doing, args...), err)
}

func unreachable(socket string, err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next // the innermost says it best: "connect: no such file or directory"
	}
	return &review.Failure{
		What:  "Podman does not answer at " + socket,
		Cause: err,
		Hint:  `not your branch: ask the host's administrator to run "systemctl --user status podman.socket" as the runner's user`,
	}
}

func notFound(err error) bool { return status(err) == http.StatusNotFound }

func status(err error) int {
	var model *errorhandling.ErrorModel
	if errors.As(err, &model) {
		return model.ResponseCode
	}
	return 0
}

// labelFilter lets the service pick what has one of the labels; the caller
// looks for the others. Podman 4.3 takes several for "any of" with volumes and
// finds no image that has them all.
func labelFilter(labels map[string]string) map[string][]string {
	for key, value := range labels {
		if value == review.AnyValue {
			return map[string][]string{"label": {key}}
		}
		if value != "" {
			return map[string][]string{"label": {key + "=" + value}}
		}
	}
	return nil
}

// fullDisk tells whether an error means that the host's disk is full, which is
// nobody's job's fault.
func fullDisk(message string) bool {
	return strings.Contains(message, "no space left on device") || strings.Contains(message, "disk quota exceeded")
}
