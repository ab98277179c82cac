// Command review-executor gives every branch of a web project its own running
// copy: a GitLab custom executor on Podman and Apache.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	err := root.ExecuteContext(ctx)
	os.Exit(exitCode(err, os.Stderr)) //nolint:gocritic // stop has nothing left to do
}
