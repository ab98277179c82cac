package main

import (
	"fmt"
	"os"
	"time"
)

// appsRatio is the time of a deploying job with 1,000 other apps on the host over
// that with 10, on two hosts that take turns.
func (b *bench) appsRatio() []figure {
	many, err := newBench()
	if b.failed(err) {
		return nil
	}
	defer func() { _ = many.host.Down() }()
	few := crowd{bench: b, app: b.withApps(10)}
	crowded := crowd{bench: many, app: many.withApps(1000)}
	for range 9 {
		few.measure()
		crowded.measure()
	}
	b.failed(many.err)
	fmt.Fprintf(os.Stderr, "with 10 other apps and with 1,000: a job takes %.2f s and %.2f s, the deploy in it %.2f s and %.2f s\n",
		median(few.jobs), median(crowded.jobs), median(few.deploys), median(crowded.deploys))
	return []figure{{Name: "deploy.apps_1000_ratio", Value: median(crowded.jobs) / median(few.jobs), Goal: 1.2}}
}

// crowd is a host with many apps, and one that is deployed again and again.
type crowd struct {
	*bench
	app           string
	jobs, deploys []float64 // seconds
}

func (c *crowd) measure() {
	steps := c.redeploy(c.app)
	c.jobs, c.deploys = append(c.jobs, steps.job()), append(c.deploys, steps.total())
}

// withApps publishes n apps and deploys one of its own.
func (b *bench) withApps(n int) (app string) {
	b.record(n)
	app = b.makeApp()
	b.failed(b.command("front")())
	time.Sleep(2 * time.Second) // for Apache's old processes to end
	b.redeploy(app)
	return app
}
