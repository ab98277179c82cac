package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// apps are a double: every event is about the apps that its branch names, with a
// plus between them, and what happens is in told.
type apps struct {
	mu     sync.Mutex
	told   []string // "APP EVENT", as they begin
	follow func(ctx context.Context, app, event string, nth int) error
	asked  func(event string, nth int) error
	nth    map[string]int
}

func (a *apps) Affected(_ context.Context, event review.Event) ([]string, error) {
	if a.asked != nil {
		if err := a.asked(event.ID, a.count("ask "+event.ID)); err != nil {
			return nil, err
		}
	}
	if event.Branch == "" {
		return nil, nil
	}
	return strings.Split(event.Branch, "+"), nil
}

func (a *apps) Follow(ctx context.Context, event review.Event, app string) error {
	id := strings.TrimPrefix(event.ID, "gitlab:")
	nth := a.count(app + " " + id)
	a.mu.Lock()
	a.told = append(a.told, app+" "+id)
	a.mu.Unlock()
	if a.follow == nil {
		return nil
	}
	return a.follow(ctx, app, id, nth)
}

// count is how often this was said before.
func (a *apps) count(what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nth == nil {
		a.nth = map[string]int{}
	}
	a.nth[what]++
	return a.nth[what] - 1
}

// of is what was told about an app, in order.
func (a *apps) of(app string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var events []string
	for _, one := range a.told {
		if event, found := strings.CutPrefix(one, app+" "); found {
			events = append(events, event)
		}
	}
	return events
}

// working is a queue with workers over a double.
type working struct {
	*testing.T
	*queue
	*workers
	apps *apps
}

// works starts workers on the queue in dir.
func works(t *testing.T, dir string, a *apps) *working {
	t.Helper()
	q, left, err := openQueue(dir, silent())
	if err != nil {
		t.Fatal(err)
	}
	w := &working{T: t, queue: q, workers: newWorkers(a, q, silent()), apps: a}
	w.firstWait = time.Millisecond
	q.start(w.add)
	w.start(left)
	t.Cleanup(w.leaves)
	return w
}

// start is the workers'.
func (w *working) start(left []*item) { w.workers.start(left) }

// leaves ends the process's part, as SIGTERM does.
func (w *working) leaves() {
	if w.ctx.Err() == nil {
		w.queue.stop()
		w.end(0)
		w.unlock()
	}
}

// about sends an event about these apps.
func (w *working) about(id string, apps ...string) {
	w.Helper()
	e := event(id)
	e.Branch = strings.Join(apps, "+")
	if isNew, err := w.keep(w.Context(), e); err != nil || !isNew {
		w.Fatalf("%s is new: %v: %v", id, isNew, err)
	}
}

// settles waits until every event is over.
func (w *working) settles() {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); len(files(w.T, w.queue, "events")) > 0 || !w.idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("it does not end; told were %v", w.apps.told)
		}
	}
}

func (w *working) has(dir string, n int) {
	w.Helper()
	if got := files(w.T, w.queue, dir); len(got) != n {
		w.Errorf("in %s there are %v, want %d", dir, got, n)
	}
}

func TestWorkers_EachEventOncePerAppInOrder(t *testing.T) {
	a := &apps{}
	w := works(t, t.TempDir(), a)
	want := map[string][]string{}
	for i := range 60 {
		id := fmt.Sprintf("e%d", i)
		names := []string{fmt.Sprintf("app%d", i%3)}
		if i%5 == 0 {
			names = []string{"app0", "app1", "app2", "app0"} // named twice, done once
		}
		w.about(id, names...)
		for _, app := range slices.Compact(slices.Sorted(slices.Values(names))) {
			want[app] = append(want[app], id)
		}
	}
	w.about("nobody")
	w.settles()
	for app, events := range want {
		if diff := cmp.Diff(events, a.of(app)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", app, diff)
		}
	}
	w.has("events", 0)
	w.has("done", 61)
	w.has("failed", 0)
}

func TestWorkers_AStuckAppHoldsNoOther(t *testing.T) {
	release := make(chan struct{})
	a := &apps{follow: func(ctx context.Context, app, _ string, _ int) error {
		if app == "stuck" {
			<-release
		}
		return nil
	}}
	w := works(t, t.TempDir(), a)
	w.about("e1", "stuck", "a")
	w.about("e2", "stuck")
	w.about("e3", "a")
	w.about("e4", "b")
	for len(a.of("a")) < 2 || len(a.of("b")) < 1 {
		if t.Context().Err() != nil {
			t.Fatal("they are held")
		}
		time.Sleep(time.Millisecond)
	}
	if w.idle() {
		t.Error("it would leave")
	}
	close(release)
	w.settles()
	if diff := cmp.Diff([]string{"e1", "e2"}, a.of("stuck")); diff != "" {
		t.Error(diff)
	}
}

func TestWorkers_NoMoreThanSoManyAtOnce(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	a := &apps{follow: func(context.Context, string, string, int) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}}
	w := works(t, t.TempDir(), a)
	for i := range 40 {
		w.about(fmt.Sprintf("e%d", i), fmt.Sprintf("app%d", i))
	}
	w.settles()
	if most > parallel || most < 2 {
		t.Errorf("%d were done at once", most)
	}
}

func TestWorkers_AnErrorIsTriedAgainAndTheLaneWaits(t *testing.T) {
	a := &apps{follow: func(_ context.Context, app, event string, nth int) error {
		if event == "e1" && nth < maxAttempts-1 {
			return errors.New("GitLab is away")
		}
		return nil
	}}
	w := works(t, t.TempDir(), a)
	w.about("e1", "a", "b")
	w.about("e2", "a")
	w.settles()
	if diff := cmp.Diff([]string{"e1", "e1", "e1", "e1", "e1", "e2"}, a.of("a")); diff != "" {
		t.Error(diff)
	}
	w.has("done", 2)
	w.has("failed", 0)
}

func TestWorkers_AfterSomeTriesItIsSetAside(t *testing.T) {
	a := &apps{follow: func(_ context.Context, app, event string, _ int) error {
		switch {
		case event == "e1" && app == "a":
			return errors.New("GitLab says\nno")
		case event == "e2":
			panic("a bug")
		}
		return nil
	}}
	w := works(t, t.TempDir(), a)
	w.about("e1", "a", "b")
	w.about("e2", "a")
	w.about("e3", "a")
	w.settles()
	if diff := cmp.Diff([]string{"e1", "e1", "e1", "e1", "e1", "e2", "e2", "e2", "e2", "e2", "e3"}, a.of("a")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"e1"}, a.of("b")); diff != "" {
		t.Error(diff)
	}
	w.has("events", 0)
	w.has("done", 1)
	w.has("failed", 4)
	for id, want := range map[string]string{"e1": "a: GitLab says", "e2": "panic: a bug"} {
		for _, file := range files(t, w.queue, "failed") {
			if strings.Contains(file, hash(event(id).ID)) && strings.HasSuffix(file, ".error") {
				if reason, err := os.ReadFile(w.path("failed", file)); err != nil || !bytes.Contains(reason, []byte(want)) || bytes.Count(reason, []byte("\n")) != 1 {
					t.Errorf("%s: the reason is %q, %v", id, reason, err)
				}
			}
		}
	}
	w.about("e1", "a") // sent again, it is tried again
	w.settles()
	if n := len(a.of("a")); n != 16 {
		t.Errorf("a was followed %d times", n)
	}
}

// TestWorkers_WhomItAffectsCannotBeTold: the event is tried again, and holds nobody.
func TestWorkers_WhomItAffectsCannotBeTold(t *testing.T) {
	a := &apps{asked: func(event string, nth int) error {
		switch {
		case event == "gitlab:e1":
			panic("a bug")
		case event == "gitlab:e2" && nth < 2:
			return errors.New("the disk is away")
		}
		return nil
	}}
	w := works(t, t.TempDir(), a)
	w.about("e1", "a")
	w.about("e2", "a")
	w.about("e3", "a")
	w.settles()
	if got := a.of("a"); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"e2", "e3"}) {
		t.Errorf("done are %v", got)
	}
	w.has("done", 2)
	w.has("failed", 2)
}

// TestWorkers_ARestartGoesOn ends the workers while an event is half done: what is
// done is not done again, what was being done is, and the attempts count on.
func TestWorkers_ARestartGoesOn(t *testing.T) {
	dir := t.TempDir()
	began := make(chan struct{}, 1)
	first := &apps{follow: func(ctx context.Context, app, _ string, nth int) error {
		if app == "stuck" {
			if nth < 2 {
				return errors.New("not yet")
			}
			began <- struct{}{}
			<-ctx.Done()
			return fmt.Errorf("stop: %w", ctx.Err())
		}
		return nil
	}}
	w := works(t, dir, first)
	w.about("e1", "a", "stuck")
	w.about("e2", "stuck")
	<-began
	for len(first.of("a")) < 1 {
		time.Sleep(time.Millisecond)
	}
	w.leaves()

	second := &apps{follow: func(context.Context, string, string, int) error { return errors.New("never") }}
	w = works(t, dir, second)
	w.settles()
	if got := second.of("a"); len(got) != 0 {
		t.Errorf("what was done is done again: %v", got)
	}
	if diff := cmp.Diff([]string{"e1", "e1", "e1", "e2", "e2", "e2", "e2", "e2"}, second.of("stuck")); diff != "" {
		t.Error(diff)
	}
}

// TestWorkers_WhatKillsTheProcessIsSetAside: an attempt is counted before it begins.
func TestWorkers_WhatKillsTheProcessIsSetAside(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "e1", true)
	for range maxAttempts {
		again, left := reopened(t, q)
		q = again
		one := &work{item: left[0], left: 1}
		began := errors.New("it began")
		w := newWorkers(&apps{follow: func(context.Context, string, string, int) error { return began }}, q, silent())
		if err := w.attempt("e1", one); !errors.Is(err, began) { // and nothing after it: the process is gone
			t.Fatal(err)
		}
	}
	quit(q)
	a := &apps{}
	w := works(t, q.dir, a)
	w.settles()
	w.has("failed", 2)
	if len(a.told) > 0 {
		t.Errorf("it was tried again: %v", a.told)
	}
}

// TestWorkers_LeavingLetsFinish: what is being done may end within the time that
// there is, and nothing else begins.
func TestWorkers_LeavingLetsFinish(t *testing.T) {
	began, leave := make(chan struct{}), make(chan struct{})
	a := &apps{follow: func(ctx context.Context, _, event string, _ int) error {
		if event == "e1" {
			close(began)
			<-leave
		}
		return ctx.Err()
	}}
	w := works(t, t.TempDir(), a)
	w.about("e1", "a")
	w.about("e2", "a")
	<-began
	ended := make(chan struct{})
	go func() { w.end(time.Minute); close(ended) }()
	<-w.ctx.Done()
	close(leave)
	<-ended
	w.queue.stop()
	w.unlock()
	w.has("done", 1)
	w.has("events", 1)
	if diff := cmp.Diff([]string{"e1"}, a.of("a")); diff != "" {
		t.Error(diff)
	}
}

// TestWorkers_LeavingWaitsForNobodyForEver: what does not end is left as it is.
func TestWorkers_LeavingWaitsForNobodyForEver(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	a := &apps{follow: func(context.Context, string, string, int) error {
		close(began)
		<-release
		return nil
	}}
	w := works(t, t.TempDir(), a)
	w.lastWait = time.Millisecond
	w.about("e1", "a")
	<-began
	w.end(time.Millisecond)
	w.has("events", 1)
	close(release)
	w.all.Wait()
	w.queue.stop()
	w.unlock()
}
