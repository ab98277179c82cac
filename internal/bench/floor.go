package main

import (
	"context"
	"io"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
)

// podmanFloor makes the calls that no empty job can do without, from one process
// that has nothing else to do: a network where the containers need one, a
// workspace, two containers with the isolation of every job, four scripts, and
// their removal.
func (b *bench) podmanFloor() error {
	ctx := context.Background()
	engine, err := podman.Connect(ctx, "unix://"+b.host.Dir+"/podman.sock")
	if err != nil {
		return err
	}
	const name = "bench-floor"
	labels := map[string]string{review.LabelJob: name}
	spec := review.Container{
		Name: name, Image: hosttest.Debian, Shell: true, Command: []string{"sh"}, User: "0",
		Volumes: map[string]string{name: "/builds"}, Labels: labels, Isolation: review.IsolationDefaults(),
	}
	if !engine.OwnNetworks() {
		spec.Network = name
		if err := engine.EnsureNetwork(ctx, name, labels); err != nil {
			return err
		}
	}
	if _, err := engine.CreateVolume(ctx, name, labels, 0); err != nil {
		return err
	}
	id, err := engine.Create(ctx, spec)
	if err != nil {
		return err
	}
	other := spec
	other.Name, other.SameIDs = name+"-2", name
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() error { return engine.StartCreated(starting, id, spec) })
	group.Go(func() error { _, err := engine.Start(starting, other); return err })
	if err := group.Wait(); err != nil {
		return err
	}
	for range 4 {
		if _, err := engine.Exec(ctx, name, "0", []string{"sh"}, strings.NewReader("true\n"), io.Discard, io.Discard); err != nil {
			return err
		}
	}
	return engine.Remove(ctx, labels, 0)
}
