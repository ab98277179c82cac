package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"gitlab.com/review-executor/review-executor/review"
)

// running are the names of the containers that run.
func (w *world) running() (names []string) {
	w.t.Helper()
	there, err := w.engine.Objects(context.Background(), map[string]string{review.LabelApp: review.AnyValue})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range there {
		if o.Kind == "container" && o.Running {
			names = append(names, o.Name)
		}
	}
	return names
}

func (w *world) runNow(want int) {
	w.t.Helper()
	if got := w.running(); len(got) != want {
		w.t.Errorf("%q run, want %d", got, want)
	}
}

// asleep tells whether login sleeps.
func (w *world) asleep() bool {
	w.t.Helper()
	record, err := w.Records.Load("login")
	if err != nil || record == nil {
		w.t.Fatal(record, err)
	}
	asleep, err := w.Asleep(context.Background(), []review.Record{*record})
	if err != nil {
		w.t.Fatal(err)
	}
	return asleep["login"]
}

func TestSleep_RequestWakesAppAndCompanion(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.serves("login", "one")
	w.runNow(2)
	w.sleeps()
	w.runNow(0)
	if !w.asleep() {
		t.Error("it is not said to sleep")
	}
	w.serves("login", "one")
	w.runNow(2)
	if w.asleep() {
		t.Error("it is said to sleep")
	}
}

func TestSleep_SyncLetsSleepingAppsBe(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	if text := w.syncs(); strings.Contains(text, "login") {
		t.Errorf("sync says %s", text)
	}
	w.runNow(0)
	w.serves("login", "one")
}

// TestSleep_WhatIsGoneIsMadeAnew: the container store was lost while the app slept.
func TestSleep_WhatIsGoneIsMadeAnew(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	w.engine.Wipe(false)
	w.serves("login", "one")
	w.runNow(2)
}

func TestSleep_PortThatIsTakenMeanwhileIsGivenUp(t *testing.T) {
	w := newWorld(t).supervised()
	w.deployed(1, "one")
	there, err := w.engine.Objects(context.Background(), map[string]string{review.LabelRole: review.RoleApp, review.LabelRelease: releaseID(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.sleeps()
	for _, o := range there {
		if o.Kind == "container" {
			if _, err := w.engine.Start(context.Background(), review.Container{Name: "taker", Image: "base", Command: []string{"httpd"}, Port: 80, HostPort: portOf(t, o.Backend)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.serves("login", "one")
}

func portOf(t *testing.T, address string) (port uint16) {
	t.Helper()
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}

// TestSleep_FailedWakeLeavesNothingRunning, and the next may succeed.
func TestSleep_FailedWakeLeavesNothingRunning(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	w.fault = func(op string) error {
		if op == "State" {
			return fmt.Errorf("podman is busy")
		}
		return nil
	}
	w.serves("login", "503")
	w.fault = nil
	w.runNow(0)
	w.serves("login", "one")
}

// TestSleep_AnAppThatEndsAgainAndAgainIsNotAwake though its container runs for a moment,
// in which somebody asks for it.
func TestSleep_AnAppThatEndsAgainAndAgainIsNotAwake(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.units.Reboot()
	if err := w.engine.Loop("review-app-login-" + releaseID(1)); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "one")
	w.runNow(2)
}

// TestSleep_WakesWhileTheNextVersionIsBuilt: a deploy holds the app's lock for long.
func TestSleep_WakesWhileTheNextVersionIsBuilt(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	seen := ""
	w.fault = func(op string) error {
		if op == "Build" {
			seen = w.front.Get("login.review.example.org")
		}
		return nil
	}
	w.full(2, "two", "b")
	w.fault = nil
	if seen != "one" {
		t.Errorf("while it was built, the app served %q", seen)
	}
	w.serves("login", "two")
	w.runNow(2)
}

// TestSleep_LeavesCompanionsToAPreparedJob whose script uses them.
func TestSleep_LeavesCompanionsToAPreparedJob(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	redis := w.redis()
	redis.Image, redis.Command, redis.User = "base", []string{"httpd"}, "b"
	job := w.with(2, "two", redis)
	if _, err := w.Prepare(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	w.sleeps()
	w.runNow(1)
	w.serves("login", "one") // and waking does not take the job's companion away
	if got := strings.Join(w.running(), " "); !strings.Contains(got, "redis-"+releaseID(2)) || strings.Contains(got, "redis-"+releaseID(1)) {
		t.Errorf("%s run", got)
	}
	job.Prepared = true
	if _, err := w.Deploy(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "two")
}

// TestSleep_AwakeAppGoesOnWhileItsCompanionIsMadeAnew: its requests are not cut.
func TestSleep_AwakeAppGoesOnWhileItsCompanionIsMadeAnew(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	companion := map[string]string{review.LabelApp: "login", review.LabelRole: review.RoleCompanion}
	if err := w.engine.Remove(context.Background(), companion, 0); err != nil {
		t.Fatal(err)
	}
	stopped := false
	w.fault = func(op string) error {
		stopped = stopped || op == "unit Stop" || op == "Stop"
		return nil
	}
	w.syncs()
	w.fault = nil
	if stopped {
		t.Error("the app was stopped for its companion")
	}
	w.runNow(2)
	w.serves("login", "one")
}

// TestSleep_CompanionOfAJobDoesNotWakeTheApp, and sleeps too once the job is over.
func TestSleep_CompanionOfAJobDoesNotWakeTheApp(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	redis := w.redis()
	redis.Image, redis.Command, redis.User = "base", []string{"httpd"}, "a"
	if _, err := w.Prepare(context.Background(), w.with(2, "two", redis)); err != nil {
		t.Fatal(err)
	}
	w.runNow(1)
	if _, err := w.sync(false); err != nil {
		t.Fatal(err)
	}
	w.runNow(1)
	w.Gone = func(string) bool { return true }
	w.syncs()
	w.runNow(0)
	w.serves("login", "one")
}

// TestSleep_OldVersionAnswersUntilTheFrontHasSwitched: its record says already that
// another serves.
func TestSleep_OldVersionAnswersUntilTheFrontHasSwitched(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	seen := ""
	w.fault = func(op string) error {
		if op == "front Apply" && seen == "" {
			if record, err := w.Records.Load("login"); err == nil && record.Live.ID == releaseID(2) {
				seen = "…"
				seen = w.front.Get("login.review.example.org")
			}
		}
		return nil
	}
	w.full(2, "two", "a")
	w.fault = nil
	if seen != "one" {
		t.Errorf("between the record and the front, the app served %q", seen)
	}
	w.serves("login", "two")
	w.runNow(2)
}

// TestSleep_WakeDoesNotWaitForWhoWaitsForIt: sync holds the app's lock and starts the unit,
// which somebody's request has begun to wake.
func TestSleep_WakeDoesNotWaitForWhoWaitsForIt(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	w.engine.Wipe(false)
	unlock, err := w.Records.Lock(context.Background(), "login", func() {})
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan string)
	go func() { woken <- w.front.Get("login.review.example.org") }()
	time.Sleep(20 * time.Millisecond) // the wake has seen that nothing is there, or will
	record, err := w.Records.Load("login")
	if err != nil {
		t.Fatal(err)
	}
	if err := review.Heal(context.Background(), w.Lifecycle, *record); err != nil {
		t.Fatal(err)
	}
	if got := <-woken; got != "one" {
		t.Errorf("it serves %q", got)
	}
	unlock()
}

func TestSleep_DryRunDoesNotTellOfWaking(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	if text, err := w.sync(true); err != nil || text != "" {
		t.Errorf("sync --dry-run says %q, %v", text, err)
	}
}

func TestSleep_NeverIsWokenBySync(t *testing.T) {
	w := newWorld(t).supervised()
	w.Limits.SleepAfter = review.Never
	w.full(1, "one", "a")
	w.engine.Crash()
	w.units.Reboot()
	w.syncs()
	w.runNow(2)
}

func TestSleep_SupervisorThatIsSwitchedOffLeavesAppsServing(t *testing.T) {
	w := newWorld(t).supervised()
	w.full(1, "one", "a")
	w.sleeps()
	w.Supervisor = nil
	w.syncs()
	w.runNow(2)
	w.serves("login", "one")
	record, err := w.Records.Load("login")
	if err != nil || record.Live.Socket {
		t.Errorf("%+v, %v", record.Live, err)
	}
}

func TestSleep_ProjectChoosesWithinTheHostsBounds(t *testing.T) {
	for _, test := range []struct {
		after, most review.SleepAfter
		refused     bool
	}{
		{review.SleepAfter(time.Minute), review.SleepAfter(time.Hour), false},
		{review.SleepAfter(2 * time.Hour), review.SleepAfter(time.Hour), true},
		{review.Never, review.SleepAfter(time.Hour), true},
		{review.Never, review.Never, false},
	} {
		w := newWorld(t).supervised()
		w.Limits.SleepAfterMax = test.most
		job := w.job(1, site("one"))
		job.Settings.SleepAfter = test.after
		var log bytes.Buffer
		job.Log = review.NewLog(&log)
		_, err := w.Deploy(context.Background(), job)
		if test.refused {
			fails(t, err, review.Build, "REVIEW_SLEEP_AFTER", "nothing was changed")
			continue
		}
		if err != nil {
			t.Errorf("%s of %s: %v", test.after, test.most, err)
		}
		if told := strings.Contains(log.String(), "without a connection"); told != (test.after != review.Never) {
			t.Errorf("%s: the job log says\n%s", test.after, log.String())
		}
	}
}

func TestWake_RefusesWhatIsNotPublished(t *testing.T) {
	w := newWorld(t).supervised()
	w.deployed(1, "one")
	for _, release := range []string{releaseID(2), "../x", ""} {
		if err := w.Wake(context.Background(), "login", release, review.NewLog(&bytes.Buffer{})); err == nil {
			t.Errorf("release %q wakes", release)
		}
	}
	if err := w.Sleep(context.Background(), "../login", releaseID(1)); err == nil {
		t.Error("a path sleeps")
	}
}

func TestParseSettings_SleepAfter(t *testing.T) {
	for value, want := range map[string]review.SleepAfter{"30m": review.SleepAfter(30 * time.Minute), "90": review.SleepAfter(90 * time.Second), "never": review.Never, "": 0} {
		s, _, err := review.ParseSettings(map[string]string{"REVIEW_SLEEP_AFTER": value})
		if err != nil || s.SleepAfter != want {
			t.Errorf("%q is %s, %v", value, s.SleepAfter, err)
		}
	}
	for _, value := range []string{"0", "-1", "-1h", "1ns", "8000h", "soon", "never\n", "%h"} {
		if _, _, err := review.ParseSettings(map[string]string{"REVIEW_SLEEP_AFTER": value}); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
}

// Fifty that ask Podman after a reboot keep it from starting any.
func TestWake_AsksNothingBeforeItsTurn(t *testing.T) {
	w := newWorld(t).supervised()
	w.deployed(1, "one")
	w.sleeps()
	for i := range max(4, 2*runtime.NumCPU()) {
		slot := flock.New(filepath.Join(w.dir, "locks", fmt.Sprintf("_wake%d", i)))
		if locked, err := slot.TryLock(); !locked {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = slot.Close() })
	}
	w.fault = func(op string) error { return fmt.Errorf("%s is asked", op) }
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for a slot
	if err := w.Wake(ctx, "login", releaseID(1), review.NewLog(&bytes.Buffer{})); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// One project's apps that start and never become healthy keep no other project's from waking.
func TestWake_OneProjectLeavesOthersATurn(t *testing.T) {
	for holder, waits := range map[string]bool{"42": true, "43": false} {
		t.Run("taken by "+holder, func(t *testing.T) {
			w := newWorld(t).supervised()
			w.deployed(1, "one") // of project 42
			w.sleeps()
			for i := 1; i < max(4, 2*runtime.NumCPU()); i++ {
				slot := flock.New(filepath.Join(w.dir, "locks", fmt.Sprintf("_wake%d", i)))
				if locked, err := slot.TryLock(); !locked {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = slot.Close() })
				if err := os.WriteFile(slot.Path(), []byte(holder), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			if waits {
				cancel() // nobody waits for a slot
			}
			defer cancel()
			err := w.Wake(ctx, "login", releaseID(1), review.NewLog(&bytes.Buffer{}))
			if waits != errors.Is(err, context.Canceled) || !waits && err != nil {
				t.Error(err)
			}
		})
	}
}
