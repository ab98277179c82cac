package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/internal/loadtest"
)

const (
	redeploys = 50
	long      = 30 // seconds of a streaming response and of a WebSocket
)

// longAt are the redeploys that meet a streaming response and a WebSocket. Each
// waits for them, so there are few.
var longAt = map[int]bool{9: true, 29: true}

// load redeploys an app under load.
func (b *bench) load() []figure {
	app := b.makeApp()
	config := filepath.Join(b.host.Dir, "patient.toml")
	b.failed(patient(b.host.Config(), config))
	failed := b.underLoad("bench", func() { b.redeployWith(app, config) })
	return []figure{{Name: "deploy.failed_requests", Value: failed, Goal: 0}}
}

// loadByHand redeploys an app under load as it is done by hand.
func (b *bench) loadByHand() []figure {
	hand := b.byHand(b.makeApp())
	failed := b.underLoad("byhand", func() { b.failed(hand.redeploy()) })
	return []figure{{Name: "deploy.by_hand_failed_requests", Value: failed, NoGoal: true}}
}

// underLoad counts the requests that fail while an app is redeployed.
func (b *bench) underLoad(app string, redeploy func()) float64 {
	redeploy()
	time.Sleep(3 * time.Second) // by hand, nobody waits until Apache really serves it
	load := loadtest.Start(loadtest.Target{Address: "127.0.0.1:" + b.host.Port, Host: app + ".review.localhost", User: "demo", Password: "demo"})
	for i := range redeploys {
		if longAt[i] {
			load.Stream(long)
			load.Socket(long * time.Second)
			time.Sleep(200 * time.Millisecond)
		}
		redeploy()
		if b.err != nil {
			break
		}
	}
	requests, failed := load.Stop()
	fmt.Fprintf(os.Stderr, "%s: %d of %d requests failed in %d redeploys\n", app, len(failed), requests, redeploys)
	for _, what := range failed[:min(len(failed), 5)] {
		fmt.Fprintf(os.Stderr, "  %.200s\n", what)
	}
	return float64(len(failed))
}

// patient is the configuration with time for the long answers to end.
func patient(from, to string) error {
	config, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(config), "[apache]", "[limits]\ndrain = \"1m\"\n\n[apache]", 1)
	return os.WriteFile(to, []byte(changed), 0o600)
}
