package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// deployAt deploys another environment.
func (w *world) deployAt(environment string, number int64) review.App {
	w.t.Helper()
	job := w.job(number, site(environment))
	job.Environment = "review/" + environment
	app, err := w.Deploy(w.t.Context(), job)
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

func TestPin_StaysAcrossARedeploy(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	app, err := w.Find(t.Context(), "login")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	pin := func(pinned, want bool) {
		t.Helper()
		if changed, err := w.Pin(t.Context(), app, pinned, review.NewLog(&log)); err != nil || changed != want {
			t.Errorf("changed: %t, %v", changed, err)
		}
		if record, err := w.Records.Load("login"); err != nil || record.Pinned != pinned {
			t.Errorf("%+v, %v; want pinned: %t", record, err, pinned)
		}
	}
	pin(true, true)
	pin(true, false)
	w.deployed(2, "two")
	pin(true, false)
	pin(false, true)
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	_, err = w.Pin(t.Context(), app, true, review.NewLog(&log))
	fails(t, err, review.System, `there is no review app "login" any more`)
	if w.record() != "" {
		t.Error("pinning has brought a stopped app's record back")
	}
}

func TestStopAll_OnesFailureDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t)
	var apps []review.App
	for i, name := range []string{"a", "b", "c", "d", "e", "f"} {
		apps = append(apps, w.deployAt(name, int64(i+1)))
	}
	other := apps[2]
	other.ProjectID = 7 // c is somebody else's
	apps[2] = other
	var log bytes.Buffer
	stopped := make(chan string, len(apps))
	err := w.StopAll(t.Context(), apps, review.NewLog(&log), func(app review.App) { stopped <- app.Name })
	fails(t, err, review.System, "1 of 6 apps could not be stopped: c", "the others are gone")
	if !strings.Contains(log.String(), "ERROR: c: c.review.example.org already serves group/shop") || strings.Count(log.String(), "Stopped review app") != 5 {
		t.Errorf("the log says:\n%s", log.String())
	}
	if len(stopped) != 6 {
		t.Errorf("%d were told of", len(stopped))
	}
	w.serves("c", "c")
	w.serves("d", "404")
}

func TestReadLog_FollowsAcrossARedeployUntilTheStop(t *testing.T) {
	w := newWorld(t)
	page := func(text string) map[string]string {
		return map[string]string{"Containerfile": containerfile("EXPOSE 8080", `CMD ["sh", "-c", "echo `+text+`; echo more of `+text+`; exec httpd"]`)}
	}
	deploy := func(number int64, text string) {
		t.Helper()
		if _, err := w.Deploy(context.Background(), w.job(number, page(text))); err != nil {
			t.Fatal(err)
		}
	}
	deploy(1, "one")
	lines, notes, done := make(chan string, 99), make(chan string, 99), make(chan error)
	go func() {
		done <- w.ReadLog(context.Background(), review.AppLog{
			Name: "login", Query: review.LogQuery{Lines: 1, Follow: true},
			Each: func(p review.LogPiece) error { lines <- p.Text; return nil },
			Note: func(format string, args ...any) { notes <- fmt.Sprintf(format, args...) },
		})
	}()
	next := func(c chan string, want string) {
		t.Helper()
		select {
		case got := <-c:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no %q", want)
		}
	}
	next(lines, "more of one\n")
	deploy(2, "two")
	next(notes, "review app login is now version 2222222")
	next(lines, "two\n")
	next(lines, "more of two\n")
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	next(notes, "review app login was stopped: its stop job has run")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(lines) > 0 {
		t.Errorf("there is more: %q", <-lines)
	}
}

func TestReadLog_WhatHasNoLogIsSaid(t *testing.T) {
	w, _ := everything(t)
	job := w.static(9, "page")
	job.Environment = "review/static"
	w.publishes(job)
	read := func(app, companion string) error {
		return w.ReadLog(t.Context(), review.AppLog{Name: app, Companion: companion, Query: review.LogQuery{Lines: -1}, Each: func(review.LogPiece) error { return nil }, Note: t.Logf})
	}
	fails(t, read("nothing", ""), review.System, `there is no review app "nothing"`)
	gone := w.deployAt("gone", 10)
	if err := w.Stop(t.Context(), gone, review.ByAdministrator, review.NewLog(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	fails(t, read("gone", ""), review.System, `there is no review app "gone"`, "it was stopped at 2", "the administrator has stopped it", `of group/shop, environment "review/gone"`)
	fails(t, read("static", ""), review.System, `"static" is a static site`)
	fails(t, read("login", "postgres"), review.System, `no companion "postgres"`, "hint: it has redis")
	fails(t, read("static", "redis"), review.System, "it has none at all")
	for _, companion := range []string{"", "redis", "queue"} {
		if err := read("login", companion); err != nil {
			t.Errorf("companion %q: %v", companion, err)
		}
	}
}

func TestDescribe_TellsEverythingButSecrets(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	job := w.with(2, "two", w.redis())
	job.Settings.Env = map[string]string{"TOKEN": "hidden", "COLOUR": "blue"}
	job.Settings.Memory = 64 << 20
	w.both(job)
	d, err := w.Describe(t.Context(), "login")
	if err != nil || d.Engine != nil {
		t.Fatal(err, d.Engine)
	}
	if d.URL != "https://login.review.example.org" || d.Memory != 64<<20 || d.Rollback != nil || !slices.Contains(d.Variables, "TOKEN") {
		t.Errorf("%+v", d)
	}
	if text := fmt.Sprintf("%+v", d); strings.Contains(text, "hidden") || strings.Contains(text, "s3cret") {
		t.Errorf("it tells a secret: %s", text)
	}
	if len(d.Containers) != 2 || d.Containers[0].Role != review.RoleApp || !d.Containers[0].State.Running || d.Containers[1].Companion != "redis" || d.Containers[0].Uses.Memory == 0 {
		t.Errorf("containers %+v", d.Containers)
	}

	w.engine.Wipe(true)
	d, err = w.Describe(t.Context(), "login")
	if err != nil || !d.Containers[0].Missing || d.Rollback == nil || !strings.Contains(d.Rollback.Error(), "image of version 1111111 is gone") {
		t.Errorf("without its containers: %+v, %v", d, err)
	}

	w.fault = func(string) error { return errors.New("no engine") }
	if d, err = w.Describe(t.Context(), "login"); err != nil || d.Engine == nil || d.Record.Live.Job != 2 {
		t.Errorf("without an engine: %+v, %v", d, err)
	}
	w.Containers = nil
	if d, err = w.Describe(t.Context(), "login"); err != nil || d.Record.Live.Job != 2 {
		t.Errorf("without any: %+v, %v", d, err)
	}
}

func TestDescribe_SaysWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t).supervised()
	w.deployed(1, "one")
	w.units.Fail = func(op string) error {
		if op == "LastUsed" {
			return errors.New("nobody tells")
		}
		return nil
	}
	d, err := w.Describe(t.Context(), "login")
	if err != nil || d.Engine == nil || !strings.Contains(d.Engine.Error(), "nobody tells") || len(d.Containers) != 1 || !d.Containers[0].State.Running {
		t.Errorf("%+v, %v", d, err)
	}
}
