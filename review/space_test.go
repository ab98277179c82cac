package review_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// TestDeploy_ThatWouldTakeTheLastOfTheHostIsRefused: what serves goes on, and the
// refusal names who holds most.
func TestDeploy_ThatWouldTakeTheLastOfTheHostIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		left review.Space
		want []string
	}{
		"disk":   {review.Space{Disk: 999 << 20, Memory: -1}, []string{"the host's disk has 999MiB left, and 1.0GiB of it stay free", "login of group/shop, ", "limits.disk_reserve"}},
		"memory": {review.Space{Disk: -1, Memory: 200 << 20}, []string{"the host has 200MiB of memory left, and 256MiB of it stay free", "login of group/shop, 1.0MiB, deployed", "limits.memory_reserve"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Limits.DiskReserve, w.Limits.MemoryReserve = 1<<30, 256<<20
			w.deployed(1, "one")
			w.engine.Left = func() review.Space { return c.left }
			_, err := w.Deploy(t.Context(), w.job(2, site("two")))
			fails(t, err, review.System, append(c.want, "the version of 1111111 is still serving")...)
			w.engine.Left = nil
			w.isBack()
		})
	}
}

// TestDeploy_MakesRoomOnTheDiskFirst of what nobody needs.
func TestDeploy_MakesRoomOnTheDiskFirst(t *testing.T) {
	w := newWorld(t)
	w.Limits.DiskReserve = 1 << 30
	left := w.image("nobody", "8888888-8")
	w.engine.Left = func() review.Space {
		if slices.Contains(w.engine.Inventory(), left) {
			return review.Space{Disk: 999 << 20, Memory: -1}
		}
		return review.Space{Disk: 1 << 30, Memory: -1}
	}
	log := w.deployLog(w.job(1, site("one")))
	if !strings.Contains(log, "The disk has 999MiB left; removing") || !strings.Contains(log, "Removed image localhost/review/nobody:8888888-8") || !strings.Contains(log, "Ready: ") {
		t.Error(log)
	}
	w.serves("login", "one")
}

func TestDeploy_UnknownSpaceRefusesNothing(t *testing.T) {
	w := newWorld(t)
	w.Limits.DiskReserve, w.Limits.MemoryReserve = 1<<30, 256<<20
	w.engine.Left = func() review.Space { return review.Space{Disk: -1, Memory: -1} }
	w.deployed(1, "one")
}

// TestDeploy_SendsOthersToSleepForItsMemory, the one that has been awake for longest first,
// but neither what somebody is connected to nor what must never sleep.
func TestDeploy_SendsOthersToSleepForItsMemory(t *testing.T) {
	w := newWorld(t).supervised()
	w.Limits.MemoryReserve, w.Limits.SleepAfter, w.Limits.SleepAfterMax = 256<<20, review.SleepAfter(time.Hour), review.Never
	deploy := func(n int64, app string, set func(*review.Settings)) error {
		job := w.job(n, site(app))
		job.Environment = "review/" + app
		if set != nil {
			set(&job.Settings)
		}
		_, err := w.Deploy(t.Context(), job)
		return err
	}
	for n, app := range []string{"always", "first", "busy", "second"} {
		set := func(s *review.Settings) {
			if app == "always" {
				s.SleepAfter = review.Never
			}
		}
		if err := deploy(int64(n+1), app, set); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // one is awake for longer than the next
	}
	busy, err := w.Records.Load("busy")
	if err != nil {
		t.Fatal(err)
	}
	w.front.Busy = busy.Live.Backend
	awake := func() (names []string) {
		records, _, err := w.Records.All()
		if err != nil {
			t.Fatal(err)
		}
		asleep, err := w.Asleep(t.Context(), records)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if !asleep[r.Name] {
				names = append(names, r.Name)
			}
		}
		return names
	}
	w.engine.Left = func() review.Space {
		there, err := w.engine.Objects(t.Context(), map[string]string{review.LabelRole: review.RoleApp})
		if err != nil {
			t.Error(err)
		}
		left := review.Bytes(300)
		for _, o := range there {
			if o.Kind == "container" && o.Running {
				left -= 60
			}
		}
		return review.Space{Disk: -1, Memory: left << 20}
	}
	if got := awake(); len(got) != 4 {
		t.Fatalf("awake are %v", got)
	}
	// 60 MiB are left with four, 120 with three; one more sleeps only where it must.
	w.Limits.MemoryReserve = 100 << 20
	if err := deploy(5, "fifth", nil); err != nil {
		t.Fatal(err)
	}
	if got, want := awake(), []string{"always", "busy", "fifth", "second"}; !slices.Equal(got, want) {
		t.Errorf("awake are %v, want %v", got, want)
	}
	w.Limits.MemoryReserve = 280 << 20
	fails(t, deploy(6, "sixth", nil), review.System, "of memory left", "always of group/shop")
	if got, want := awake(), []string{"always", "busy"}; !slices.Equal(got, want) {
		t.Errorf("awake are %v, want %v", got, want)
	}
}

// TestRelieve_LeastRecentlyUsedSleepsFirst however long an app has been awake. Where it is not
// known when one was used, it counts from its start.
func TestRelieve_LeastRecentlyUsedSleepsFirst(t *testing.T) {
	w := newWorld(t).supervised()
	w.Limits.MemoryReserve, w.Limits.SleepAfter = 1<<30, review.SleepAfter(time.Hour)
	for n, app := range []string{"visited", "unknown", "forgotten"} {
		job := w.job(int64(n+1), site(app))
		job.Environment = "review/" + app
		if _, err := w.Deploy(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	w.units.Used = map[string]time.Time{"visited": time.Now().Add(time.Hour), "forgotten": time.Now().Add(-time.Hour)}
	var log bytes.Buffer
	w.engine.Left = func() review.Space { return review.Space{Disk: -1, Memory: 1 << 29} }
	if err := w.Relieve(t.Context(), review.NewLog(&log)); err != nil {
		t.Fatal(err)
	}
	var slept []string
	for line := range strings.Lines(log.String()) {
		if _, rest, found := strings.Cut(line, "; sent "); found {
			name, _, _ := strings.Cut(rest, " ")
			slept = append(slept, name)
		}
	}
	if want := []string{"forgotten", "unknown", "visited"}; !slices.Equal(slept, want) {
		t.Errorf("%v went to sleep, want %v", slept, want)
	}
}

// TestRelieve_MakesRoomAndSaysWhereItCannot: what the timer's sync does.
func TestRelieve_MakesRoomAndSaysWhereItCannot(t *testing.T) {
	w := newWorld(t).supervised()
	w.Limits.MemoryReserve, w.Limits.SleepAfter = 1<<30, review.SleepAfter(time.Hour)
	w.deployed(1, "one")
	var log bytes.Buffer
	w.engine.Left = func() review.Space { return review.Space{Disk: 1 << 40, Memory: 1 << 29} }
	if err := w.Relieve(t.Context(), review.NewLog(&log)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sent login to sleep", "WARNING: the host has 512MiB of memory left, and deploys are refused (limits.memory_reserve)"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &log)
		}
	}
	if state, err := w.engine.State(t.Context(), "review-app-login-1111111-1"); err != nil || state.Running {
		t.Errorf("the app is awake: %+v, %v", state, err)
	}
	w.serves("login", "one") // and wakes
}
