package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// recorded measures what goes over all apps.
func (b *bench) recorded() []figure {
	b.record(1000)
	return []figure{
		{Name: "lifecycle.list_1000_ms", Value: b.median(5, b.command("list")), Unit: "ms", Goal: 200},
	}
}

func (b *bench) command(name string) func() error {
	return func() error { return exec.Command(b.program, "--config", b.host.Config(), name).Run() }
}

// record writes the records of n apps.
func (b *bench) record(n int) {
	for i := range n {
		b.failed(b.release(i, "3f2c1a9-1"))
	}
}

// release saves the record of an app with that release.
func (b *bench) release(app int, release string) error {
	name := fmt.Sprintf("app-%d", app)
	return review.NewRecords(filepath.Join(b.host.Dir, "state")).Save(review.Record{
		App:  review.App{Name: name, Host: name + ".review.localhost", ProjectID: int64(app), Project: "group/shop", Environment: "review/" + name},
		Live: review.Release{ID: release, Ref: name, SHA: fmt.Sprintf("%040d", app), Job: 1, Backend: fmt.Sprintf("127.0.0.1:%d", 10000+app%10000), Deployed: time.Now()},
	})
}
