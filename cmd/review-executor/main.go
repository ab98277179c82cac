// Command review-executor gives every branch of a web project its own running
// copy: a GitLab custom executor on Podman and Apache.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	logrus.SetOutput(io.Discard) // Podman's bindings would write into the job log
	root := newRoot()
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && cmd == root { // which does nothing itself: there is no such command
		err = usageError{err}
	}
	os.Exit(exitCode(err, os.Stderr)) //nolint:gocritic // stop has nothing left to do
}
