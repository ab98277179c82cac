package main

import (
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/loadtest"
)

// loadApp is a project whose app is the load test's, deployed once.
func loadApp(t *testing.T) project {
	t.Helper()
	p := newProject(t, map[string]string{"Containerfile": loadtest.Containerfile})
	if err := loadtest.BuildApp(p.dir); err != nil {
		t.Fatal(err)
	}
	p.commit(nil)
	return p
}

func target() loadtest.Target {
	return loadtest.Target{Address: "127.0.0.1:" + host.Port, Host: "main.review.localhost", User: "demo", Password: "demo"}
}

// TestRedeploy_DropsNoRequest redeploys under load. One release has a long
// answer and a WebSocket when the next is published: it must live until both
// have ended.
func TestRedeploy_DropsNoRequest(t *testing.T) {
	p := loadApp(t)
	config := configWith(t, "[apache]", "[limits]\ndrain = \"1m\"\n\n[apache]")
	redeploy := func() result { return runWith(t, nil, "--config", config, "try", p.dir).succeeded(t) }
	redeploy()

	load := loadtest.Start(target())
	for i := range 5 {
		if i == 2 {
			load.Stream(8)
			load.Socket(8 * time.Second)
			time.Sleep(200 * time.Millisecond)
		}
		redeploy().says(t, "after its last request")
	}
	requests, failed := load.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(failed), requests, strings.Join(failed, "\n"))
	}
	t.Logf("%d requests", requests)
}
