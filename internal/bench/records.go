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
		{Name: "front.reload_1000_ms", Value: b.median(1, b.command("front")), Unit: "ms", Goal: 2000},
	}
}

func (b *bench) command(name string) func() error {
	return func() error { return exec.Command(b.program, "--config", b.host.Config(), name).Run() }
}

// record writes the records of n apps.
func (b *bench) record(n int) {
	records := review.NewRecords(filepath.Join(b.host.Dir, "state"))
	for i := range n {
		name := fmt.Sprintf("app-%d", i)
		err := records.Save(review.Record{
			App:  review.App{Name: name, Host: name + ".review.localhost", ProjectID: int64(i), Project: "group/shop", Environment: "review/" + name},
			Live: review.Release{ID: "3f2c1a9-1", Ref: name, SHA: fmt.Sprintf("%040d", i), Job: 1, Backend: fmt.Sprintf("127.0.0.1:%d", 10000+i), Deployed: time.Now()},
		})
		b.failed(err)
	}
}
