package review_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// metered is a world with one app, deployed at noon, whose container uses what the test says.
type metered struct {
	*world
	uses review.Consumption
}

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

func newMetered(t *testing.T) *metered {
	w := newWorld(t)
	w.deployed(1, "one")
	m := &metered{w, review.Consumption{Started: noon, Memory: 2 << 30}}
	m.deployedAt(noon)
	w.engine.Consumes = func(review.Container) review.Consumption { return m.uses }
	return m
}

func (m *metered) deployedAt(at time.Time) {
	m.t.Helper()
	record, err := m.Records.Load("login")
	if err != nil {
		m.t.Fatal(err)
	}
	record.Live.Deployed = at
	save(m.t, m.Records, *record)
}

// sample looks after some time, when the container has used so much of the processors.
func (m *metered) sample(after, cpu time.Duration) {
	m.t.Helper()
	m.uses.CPU = cpu
	if err := m.SampleUsage(m.t.Context(), noon.Add(after)); err != nil {
		m.t.Fatal(err)
	}
}

// used asserts the hours of apps, of processors and of memory of the project in a month.
func (m *metered) used(month string, apps, cpu, memory float64) {
	m.t.Helper()
	all, err := m.Records.Usage(month)
	if err != nil {
		m.t.Fatal(err)
	}
	got := review.Used{}
	if all["42"] != nil {
		got = *all["42"]
	}
	for what, pair := range map[string][2]float64{"apps": {apps, got.AppHours}, "processors": {cpu, got.CPUHours}, "memory": {memory, got.MemoryHours}} {
		if math.Abs(pair[0]-pair[1]) > 1e-6 {
			m.t.Errorf("%s: %s for %v hours, want %v", month, what, pair[1], pair[0])
		}
	}
}

const thisMonth = "2026-11"

func TestUsage_CountsBetweenLooks(t *testing.T) {
	m := newMetered(t)
	m.sample(time.Minute, time.Minute) // the first only looks
	m.used(thisMonth, 0, 0, 0)
	m.sample(31*time.Minute, 16*time.Minute)
	m.used(thisMonth, 0.5, 0.25, 1)
	m.sample(31*time.Minute, 16*time.Minute) // at once again
	m.used(thisMonth, 0.5, 0.25, 1)
}

func TestUsage_NewAppCountsFromItsDeploy(t *testing.T) {
	m := newMetered(t)
	m.sample(-time.Hour, 0)
	if _, err := m.stop(); err != nil {
		t.Fatal(err)
	}
	m.sample(0, 0)
	m.deployed(2, "two")
	m.deployedAt(noon.Add(45 * time.Minute))
	m.uses.Started = noon.Add(30 * time.Minute)
	m.sample(time.Hour, 6*time.Minute)
	m.used(thisMonth, 0.25, 0.1, 1) // 15 minutes, and the half hour that its container runs
}

func TestUsage_RestartedContainerIsCountedWhole(t *testing.T) {
	for name, restarted := range map[string]time.Duration{"its counter is less": 0, "its counter is more again": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			m := newMetered(t)
			m.sample(0, 10*time.Minute)
			m.sample(30*time.Minute, 16*time.Minute)
			m.uses.Started = noon.Add(30*time.Minute + time.Second)
			m.sample(60*time.Minute, restarted+6*time.Minute)
			m.used(thisMonth, 1, (12*time.Minute + restarted).Hours(), 2-2.0/3600)
		})
	}
}

func TestUsage_LongGapCountsWhatIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		started      time.Time
		runs         bool
		apps, memory float64
	}{
		"it has run all the time": {noon, true, 24, 48},
		"it has run since six":    {noon.Add(18 * time.Hour), true, 6, 12},
		"it does not run":         {noon, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMetered(t)
			m.sample(0, 0)
			m.uses.Started = c.started
			if !c.runs {
				m.engine.Crash()
			}
			m.sample(24*time.Hour, 0)
			m.used(thisMonth, c.apps, 0, c.memory)
		})
	}
}

func TestUsage_ClockSetBackCountsNothingTwice(t *testing.T) {
	m := newMetered(t)
	m.sample(0, 0)
	m.sample(30*time.Minute, 3*time.Minute)
	m.sample(10*time.Minute, 3*time.Minute) // twenty minutes back
	m.sample(40*time.Minute, 6*time.Minute)
	m.used(thisMonth, 1, 0.1, 2)

	m.sample(-40*24*time.Hour, 6*time.Minute) // into October
	m.sample(-40*24*time.Hour+30*time.Minute, 6*time.Minute)
	m.used(thisMonth, 1, 0.1, 2)
	m.used("2026-10", 0.5, 0, 1)
	m.uses.Started = noon.Add(24*time.Hour - 30*time.Minute)
	m.sample(24*time.Hour, 0) // and right again: a long gap
	m.used(thisMonth, 1.5, 0.1, 3)
}

func TestUsage_MonthsAreSplitAndOldOnesGo(t *testing.T) {
	m := newMetered(t)
	old, kept := filepath.Join(m.dir, "usage", "2024-09.json"), filepath.Join(m.dir, "usage", "2024-11.json")
	for _, file := range []string{old, kept} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, `{"version":1,"projects":{}}`)
	}
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC).Sub(noon)
	m.uses.Started = noon.Add(-time.Hour)
	m.sample(end-15*time.Minute, 0)
	m.sample(end+45*time.Minute, 40*time.Minute)
	m.used(thisMonth, 0.25, 1.0/6, 0.5)
	m.used("2026-12", 0.75, 0.5, 1.5)
	m.sample(end+time.Hour, 40*time.Minute)
	m.used("2026-12", 1, 0.5, 2)

	next := time.Date(2027, 2, 1, 1, 0, 0, 0, time.UTC).Sub(noon) // over a whole month
	m.sample(next, 40*time.Minute)
	m.used("2026-12", 31*24, 0.5, 2*31*24)
	m.used("2027-01", 31*24, 0, 2*31*24)
	m.used("2027-02", 1, 0, 2)
	for _, file := range []string{old, kept} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	m.used(thisMonth, 0.25, 1.0/6, 0.5) // stays
}

func TestUsage_StoppedAppsTotalsStay(t *testing.T) {
	m := newMetered(t)
	m.sample(0, 0)
	m.sample(30*time.Minute, 3*time.Minute)
	if _, err := m.stop(); err != nil {
		t.Fatal(err)
	}
	m.sample(60*time.Minute, 3*time.Minute)
	m.used(thisMonth, 0.5, 0.05, 1)
}

func TestUsage_DiskOfImagesAndSites(t *testing.T) {
	m := newMetered(t)
	job := m.static(3, strings.Repeat("x", 1<<20-len("js")))
	job.Environment = "review/static"
	m.publishes(job)
	m.sample(0, 0)
	m.sample(30*time.Minute, 0)
	all, err := m.Records.Usage(thisMonth)
	if err != nil || all["42"] == nil {
		t.Fatalf("%v, %v", all, err)
	}
	if got := all["42"].DiskHours * 1024 * 2; got < 1 || got > 1.1 {
		t.Errorf("the site of 1MiB holds %v MiB", got)
	}
	d, err := m.Describe(t.Context(), "static")
	if err != nil || d.Disk != 1<<20 || !d.Measured.Equal(noon) {
		t.Errorf("show tells %s of %s (%v)", d.Disk, d.Measured, err)
	}
}

func TestUsage_DamagedFileIsSetAsideWithAWarning(t *testing.T) {
	m := newMetered(t)
	m.sample(0, 0)
	write(t, filepath.Join(m.dir, "usage", thisMonth+".json"), `{"version": 1, "proj`)
	err := m.SampleUsage(t.Context(), noon.Add(10*time.Minute))
	if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "set aside") {
		t.Errorf("it says %v", err)
	}
	m.sample(40*time.Minute, 0)
	m.used(thisMonth, 0.5, 0, 1)
	if aside, _ := filepath.Glob(filepath.Join(m.dir, "usage", "*.damaged-*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

func TestUsage_WhatCannotBeMeasuredIsSaidAndTheRestCounted(t *testing.T) {
	m := newMetered(t)
	m.sample(0, 0)
	m.fault = func(op string) error {
		if op == "Consumption" {
			return os.ErrDeadlineExceeded
		}
		return nil
	}
	if err := m.SampleUsage(t.Context(), noon.Add(30*time.Minute)); err == nil || !strings.Contains(err.Error(), "Consumption") {
		t.Errorf("it says %v", err)
	}
	m.fault = nil
	m.used(thisMonth, 0.5, 0, 0)
	m.sample(time.Hour, 12*time.Minute)
	m.used(thisMonth, 1, 0.2, 1)
}

func TestUsage_NoMonthIsSaid(t *testing.T) {
	for _, month := range []string{"", "2026", "2026-13", "../apps/login"} {
		if _, err := review.NewRecords(t.TempDir()).Usage(month); err == nil {
			t.Errorf("%q is a month", month)
		}
	}
}
