package review_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

func lock(t *testing.T, records *review.Records, app string) (unlock func()) {
	t.Helper()
	unlock, err := records.Lock(t.Context(), app, func() { t.Errorf("it waits for %s", app) })
	if err != nil {
		t.Fatal(err)
	}
	return unlock
}

func TestLock_SecondWaitsUntilTheFirstLetsGo(t *testing.T) {
	records, dir := newRecords(t)
	unlock := lock(t, records, "login")
	var free atomic.Bool
	waited := 0
	waiting := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		unlock, err := review.NewRecords(dir).Lock(t.Context(), "login", func() { // as another process would
			waited++
			close(waiting)
		})
		if err != nil {
			t.Error(err)
			return
		}
		if !free.Load() {
			t.Error("both have the lock")
		}
		unlock()
	}()
	<-waiting
	lock(t, records, "other")() // another app does not wait
	free.Store(true)
	unlock()
	<-done
	if waited != 1 {
		t.Errorf("it said %d times that it waits, want once", waited)
	}
}

func TestLock_LeavesNoFile(t *testing.T) {
	records, dir := newRecords(t)
	for range 2 {
		lock(t, records, "login")()
		unlock, err := records.LockFront(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
	if files, err := os.ReadDir(filepath.Join(dir, "locks")); err != nil || len(files) > 0 {
		t.Errorf("%v is left, %v", files, err)
	}
}

func TestLock_StaleFileDoesNotLock(t *testing.T) {
	records, dir := newRecords(t)
	lock(t, records, "login")()
	write(t, filepath.Join(dir, "locks", "login.lock"), "")
	lock(t, records, "login")()
}

// TestLock_ManyNeverOverlap: the lock's file comes and goes all the time.
func TestLock_ManyNeverOverlap(t *testing.T) {
	_, dir := newRecords(t)
	var (
		holders, waited atomic.Int32
		all             sync.WaitGroup
		told            = make([]atomic.Int32, 50)
	)
	for i := range told {
		all.Go(func() {
			unlock, err := review.NewRecords(dir).Lock(t.Context(), "login", func() { told[i].Add(1) })
			if err != nil {
				t.Error(err)
				return
			}
			if n := holders.Add(1); n != 1 {
				t.Errorf("%d have the lock", n)
			}
			time.Sleep(5 * time.Millisecond) // long enough for others to try
			holders.Add(-1)
			unlock()
		})
	}
	all.Wait()
	for i := range told {
		n := told[i].Load()
		waited.Add(n)
		if n > 1 {
			t.Errorf("one was told %d times that it waits", n)
		}
	}
	if files, err := os.ReadDir(filepath.Join(dir, "locks")); err != nil || len(files) > 0 {
		t.Errorf("%v is left, %v", files, err)
	}
	if waited.Load() == 0 {
		t.Error("nobody waited: the test tries nothing")
	}
}

func TestLock_CancelledReturns(t *testing.T) {
	records, dir := newRecords(t)
	unlock := lock(t, records, "login")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := records.Lock(ctx, "login", cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v, want that it was cancelled", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "locks", "login.lock")); err != nil {
		t.Errorf("the first one's lock is gone: %v", err)
	}
	unlock()
	lock(t, records, "login")()
}
