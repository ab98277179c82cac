package review_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// backend is where the record says that login answers.
func (w *world) backend() string {
	w.t.Helper()
	record, err := w.Records.Load("login")
	if err != nil {
		w.t.Fatal(err)
	}
	return record.Live.Backend
}

// taken has somebody else listen where login did.
func (w *world) taken() (free func()) {
	w.t.Helper()
	listener, err := net.Listen("tcp", w.backend())
	if err != nil {
		w.t.Fatal(err)
	}
	return func() { listener.Close() }
}

func TestSync_AppWhosePortIsTakenMovesAndTheFrontFollows(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"its container is gone":   func(w *world) { w.engine.Wipe(false) },
		"its container has ended": func(w *world) { w.engine.Crash() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			before := w.backend()
			lose(w)
			defer w.taken()()
			w.syncs()
			w.serves("login", "one")
			if w.backend() == before {
				t.Error("it did not move")
			}
			w.isBack()
		})
	}
}

// TestSync_KilledAfterAMoveIsFinishedByTheNext: the container runs on another port
// than the record says.
func TestSync_KilledAfterAMoveIsFinishedByTheNext(t *testing.T) {
	for n := range 20 {
		w := newWorld(t)
		w.deployed(1, "one")
		w.engine.Wipe(false)
		free := w.taken()
		where := w.killedAt(n, func() { _, _ = w.sync(false) })
		free()
		w.syncs()
		w.serves("login", "one")
		w.isWholeApp("login")
		if t.Failed() {
			t.Fatalf("killed %s", where)
		}
	}
}

func TestSync_LostRecordsAreNotTakenForNoApps(t *testing.T) {
	w := newWorld(t)
	job := w.job(1, site("one"))
	job.Settings.Volumes = []string{"/data"}
	w.publishes(job)
	before := w.engine.Inventory()
	if err := os.Rename(filepath.Join(w.dir, "apps"), filepath.Join(w.dir, "away")); err != nil {
		t.Fatal(err)
	}
	_, err := w.sync(false)
	fails(t, err, review.System, "1 apps have containers, volumes or images but no record: login", "nothing was changed", "mounted", "sync --yes")
	w.serves("login", "one")
	w.holds(before...)
	if err := w.Sync(context.Background(), review.NewLog(&strings.Builder{}), review.SyncOptions{Yes: true}); err != nil {
		t.Fatal(err)
	}
	w.holds()
}

func TestSync_ReleaseCommandRunsOnDataThatWasLostWhoeverIsKilled(t *testing.T) {
	for n := 0; ; n++ {
		w := newWorld(t)
		w.full(1, "one", "a")
		w.engine.Wipe(false)
		w.engine.LoseVolumes()
		ran := 0
		count := func() {
			w.fault = func(op string) error {
				if op == "Run" {
					ran++
				}
				return nil
			}
		}
		where := w.killedAt(n, func() { _, _ = w.sync(false) })
		killed, err := w.Records.Load("login")
		if err != nil {
			t.Fatal(err)
		}
		count()
		w.syncs()
		w.fault = nil
		w.isWhole("one")
		record, err := w.Records.Load("login")
		if err != nil || record.Unreleased {
			t.Fatalf("killed %s: %+v, %v", where, record, err)
		}
		if where == "" {
			return
		}
		if ran == 0 && killed.Unreleased {
			t.Errorf("killed %s, the release command did not run", where)
		}
	}
}

func TestDeploy_CancelledWhileItRetiresStillRemovesTheReleaseBefore(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.fault = func(op string) error {
		if op == "front Drain" {
			cancel()
		}
		return nil
	}
	if _, err := w.Deploy(ctx, w.job(2, site("two"))); err != nil {
		t.Error(err)
	}
	w.fault = nil
	w.holds(release(2, 1)...)
}

// TestDeploy_FailedOneGoesThoughTheReleaseBeforeCannotComeBack and is not said to
// serve.
func TestDeploy_FailedOneGoesThoughTheReleaseBeforeCannotComeBack(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.engine.Wipe(true)
	w.front.Stale = errors.New("no answer")
	err := w.deploy(2, "two")
	if err == nil || strings.Contains(review.AsFailure(err).State, "is still serving") || !strings.Contains(review.AsFailure(err).State, "not everything is as it was before") {
		t.Errorf("%v: %s", err, review.AsFailure(err).State)
	}
	for _, o := range w.engine.Inventory() {
		if strings.Contains(o, "2222222") {
			t.Errorf("there is still %s", o)
		}
	}
}

func TestDeploy_LastPlaceIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	w.Limits.Apps = 1
	done := make(chan error)
	for n := range int64(4) {
		job := w.job(n, site("page"))
		job.Environment = fmt.Sprintf("review/app%d", n)
		go func() {
			_, err := w.Deploy(t.Context(), job)
			done <- err
		}()
	}
	refused := 0
	for range 4 {
		if err := <-done; err != nil {
			refused++
		}
	}
	if refused != 3 || len(w.front.Hosts()) != 1 {
		t.Errorf("%d of 4 were refused, %v are served", refused, w.front.Hosts())
	}
}

func TestPrepare_TwoJobsOfAnAppShareItsCompanions(t *testing.T) {
	w := newWorld(t)
	redis := w.redis()
	first, second := w.with(1, "one", redis), w.with(2, "two", redis)
	w.prepares(first)
	w.prepares(second)
	w.isRunning("redis-1111111-1")
	first.Prepared, second.Prepared = true, true
	w.publishes(first)
	w.publishes(second)
	w.isRunning("2222222-2", "redis-1111111-1")
}
