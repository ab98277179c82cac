package review_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// countRuns counts the runs of the front from now on. The first waits for go.
func (w *world) countRuns(first <-chan struct{}) (runs *atomic.Int64, begun chan struct{}) {
	runs, begun = &atomic.Int64{}, make(chan struct{})
	w.fault = func(op string) error {
		if op == "front Apply" && runs.Add(1) == 1 && first != nil {
			close(begun)
			<-first
		}
		return nil
	}
	return runs, begun
}

// saved saves a record of an app that serves.
func (w *world) saved(n int) string {
	name := fmt.Sprintf("app-%d", n)
	err := w.Records.Save(review.Record{
		App:  review.App{Name: name, Host: name + ".review.example.org", ProjectID: 42, Project: "group/shop", Environment: "review/" + name},
		Live: review.Release{ID: fmt.Sprintf("1111111-%d", n), Ref: name, SHA: "1", Job: int64(n), Backend: "127.0.0.1:80"},
	})
	if err != nil {
		w.t.Error(err)
	}
	return name + ".review.example.org"
}

func TestApplyFront_CallsThatComeTogetherShareARun(t *testing.T) {
	w := newWorld(t)
	if err := w.Records.Begin(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	runs, begun := w.countRuns(release)
	const calls = 50
	var waiting, done sync.WaitGroup
	apply := func(n int) {
		host := w.saved(n)
		waiting.Done()
		if _, err := w.ApplyFront(t.Context()); err != nil {
			t.Error(err)
		}
		if !slices.Contains(w.front.Hosts(), host) { // none returns before the run that saw its record
			t.Errorf("%s is not served", host)
		}
	}
	waiting.Add(1)
	done.Go(func() { apply(0) })
	<-begun
	for n := range calls {
		waiting.Add(1)
		done.Go(func() { apply(n + 1) })
	}
	waiting.Wait()
	close(release)
	done.Wait()
	// One that was going on, one for those who had come by then, and a few for those
	// who were slow to ask.
	if got := runs.Load(); got > 10 {
		t.Errorf("%d calls made %d runs", calls, got)
	}
}

func TestApplyFront_FailedRunIsNobodyElses(t *testing.T) {
	w := newWorld(t)
	if err := w.Records.Begin(); err != nil {
		t.Fatal(err)
	}
	release, begun := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	w.fault = func(op string) error {
		if op != "front Apply" {
			return nil
		}
		switch runs.Add(1) {
		case 1:
			close(begun)
			<-release
			return nil
		case 2:
			return errors.New("out of luck")
		}
		return nil
	}
	results := make(chan error, 3)
	call := func() { _, err := w.ApplyFront(t.Context()); results <- err }
	go call()
	<-begun
	go call()
	go call()
	close(release)
	failed := 0
	for range 3 {
		if err := <-results; err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d calls failed, want the one whose run it was", failed)
	}
}

func TestApplyFront_SharedRunTellsWhatWasRefused(t *testing.T) {
	w := newWorld(t)
	w.apps("a")
	w.front.Refuse = map[string]error{"a": errors.New("AH00526")}
	release := make(chan struct{})
	_, begun := w.countRuns(release)
	var done sync.WaitGroup
	for n := range 8 {
		if n == 1 {
			<-begun
		}
		done.Go(func() {
			refused, err := w.ApplyFront(t.Context())
			if err != nil || len(refused) != 1 {
				t.Errorf("refused %v, %v", refused, err)
			}
			isProblem(t, "a", refused["a"], "AH00526")
		})
	}
	close(release)
	done.Wait()
}

func TestApplyFront_DamagedCountOnlyCostsARun(t *testing.T) {
	w := newWorld(t)
	w.apps("a")
	runs, _ := w.countRuns(nil)
	for n, content := range []string{"", "{", `{"begun": -1, "done": 9}`, `[]`, "null"} {
		w.write("front.json", content)
		if _, err := w.ApplyFront(t.Context()); err != nil {
			t.Error(err)
		}
		if got := runs.Load(); got != int64(n+1) {
			t.Errorf("with %q: %d runs, want %d", content, got, n+1)
		}
	}
}
