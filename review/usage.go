package review

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"
)

// Used is what one project has used in one month.
type Used struct {
	Project     string  `json:"project"`   // full path, as it was last
	AppHours    float64 `json:"app_hours"` // one app for one hour is 1
	CPUHours    float64 `json:"cpu_hours"` // of one processor
	MemoryHours float64 `json:"memory_gib_hours"`
	DiskHours   float64 `json:"disk_gib_hours"`
}

// Reading is what there was when usage was last looked at.
type Reading struct {
	At         time.Time          `json:"at"`
	Containers map[string]Counter `json:"containers"` // by ID
	Apps       map[string]bool    `json:"apps"`
	Disk       map[string]Bytes   `json:"disk"` // by app
	DiskAt     time.Time          `json:"disk_at"`
}

// Counter is how much of the processors a container had used since its start.
type Counter struct {
	Started time.Time     `json:"started"`
	CPU     time.Duration `json:"cpu"` // nanoseconds
}

const (
	// longestGap is for how long apps are taken to have been as they were before
	// and after. Of a longer one counts what is known: containers tell how long they run.
	longestGap = time.Hour
	// diskEvery is how often disk is measured, which takes the engine a while.
	diskEvery = time.Hour
)

// SampleUsage adds what the apps have used since it was last called to their
// projects' usage. It is called every few minutes, or when somebody remembers: what a
// container has used of processors is counted whole whenever it is called, but
// an app or a container that ended since the last time only up to that. The first
// call only looks. What cannot be measured is not counted, and the error says so.
func (l *Lifecycle) SampleUsage(ctx context.Context, now time.Time) error {
	unlock, err := l.Records.lock(ctx, "_usage", func() {})
	if err != nil {
		return err
	}
	defer unlock()
	now = now.UTC()
	ledger, damaged := l.Records.openLedger(now)
	tally, unmeasured := l.tally(ctx, ledger.last, now)
	return errors.Join(damaged, unmeasured, ledger.add(tally))
}

// tally is what is there now, and what of it is new since the reading before.
type tally struct {
	reading Reading
	shares  []share
}

// share is what one app has used, or one of its containers, evenly in its time.
type share struct {
	project  string // its number
	path     string
	from, to time.Time
	cpu      time.Duration
	memory   Bytes
	disk     Bytes
	apps     float64
}

// tally looks at everything. Whatever fails is left out.
func (l *Lifecycle) tally(ctx context.Context, last Reading, now time.Time) (tally, error) {
	t := tally{reading: Reading{At: now, Containers: map[string]Counter{}, Apps: map[string]bool{}, Disk: last.Disk, DiskAt: last.DiskAt}}
	records, _, failed := l.Records.All()
	running, err := l.Containers.Consumption(ctx, map[string]string{LabelApp: AnyValue})
	failed = errors.Join(failed, err)
	if now.Sub(last.DiskAt) >= diskEvery || now.Before(last.DiskAt) {
		disk, err := l.measureDisk(ctx, records)
		if failed = errors.Join(failed, err); err == nil {
			t.reading.Disk, t.reading.DiskAt = disk, now
		}
	}
	if last.At.IsZero() || !now.After(last.At) { // the first, or the clock was set back: no time has passed
		last.At = now
	}
	runs := map[string]time.Time{} // since when, by app
	for _, c := range running {
		app := c.Labels[LabelApp]
		if since, known := runs[app]; !known || c.Started.Before(since) {
			runs[app] = c.Started
		}
		t.reading.Containers[c.ID] = Counter{Started: c.Started, CPU: c.CPU}
		t.shares = append(t.shares, containerShare(c, last, now))
	}
	for _, r := range records {
		if r.Serves() {
			t.reading.Apps[r.Name] = true
			t.shares = append(t.shares, appShare(r, last, now, runs[r.Name], t.reading.Disk[r.Name]))
		}
	}
	return t, failed
}

// containerShare counts the processors since the reading before, or since the
// container's start, when its counter began anew.
func containerShare(c Consumption, last Reading, now time.Time) share {
	cpu := c.CPU
	before, known := last.Containers[c.ID]
	switch {
	case known && before.Started.Equal(c.Started) && before.CPU <= c.CPU:
		cpu -= before.CPU
	case last.At.Equal(now) && !known:
		cpu = 0 // nobody knows when it was used
	}
	from := later(last.At, c.Started)
	if from.After(now) { // by a clock that was set back since
		from = last.At
	}
	return share{
		project: c.Labels[LabelProjectID], path: c.Labels[LabelProject],
		from: from, to: now, cpu: cpu, memory: c.Memory,
	}
}

// appShare counts the hours of an app that was there before and is there now.
// Over a long gap only those that its oldest container has run are known.
func appShare(r Record, last Reading, now, runs time.Time, disk Bytes) share {
	from := last.At
	switch gap := now.Sub(last.At) > longestGap; {
	case gap && !runs.IsZero():
		from = later(from, runs)
	case gap && !r.Live.Static:
		from = now // it does not run, and may not have for long
	case gap || !last.Apps[r.Name]:
		from = later(from, r.Live.Deployed)
	}
	return share{project: strconv.FormatInt(r.ProjectID, 10), path: r.Project, from: from, to: now, disk: disk, apps: 1}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// add counts the share's part between from and to.
func (u *Used) add(s share, from, to time.Time) {
	if s.path != "" {
		u.Project = s.path
	}
	whole := s.to.Sub(s.from)
	if whole <= 0 {
		if !to.Before(s.to) { // no time has passed, but a counter may have grown
			u.CPUHours += s.cpu.Hours()
		}
		return
	}
	begin, end := later(from, s.from), s.to
	if to.Before(end) {
		end = to
	}
	if !end.After(begin) {
		return
	}
	hours := end.Sub(begin).Hours()
	u.CPUHours += s.cpu.Hours() * hours / whole.Hours()
	u.AppHours += s.apps * hours
	u.MemoryHours += gib(s.memory) * hours
	u.DiskHours += gib(s.disk) * hours
}

func gib(b Bytes) float64 { return float64(b) / (1 << 30) }

// measureDisk tells how much disk each app holds: images, volumes, what its
// containers have written, and the files of static sites.
func (l *Lifecycle) measureDisk(ctx context.Context, records []Record) (map[string]Bytes, error) {
	disk := map[string]Bytes{}
	stored, err := l.Containers.Stored(ctx, map[string]string{LabelApp: AnyValue})
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		disk[s.Labels[LabelApp]] += s.Size
	}
	for _, r := range records {
		for _, release := range r.releases() {
			if release.Static {
				disk[r.Name] += filesIn(l.Records.SiteDir(r.Name, release.ID))
			}
		}
	}
	return disk, nil
}

// filesIn is what the files below a directory hold, as far as they can be seen.
func filesIn(dir string) (sum Bytes) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				sum += Bytes(info.Size())
			}
		}
		return nil
	})
	return sum
}

// Usage returns what projects have used in a month such as 2026-11, by their number.
func (r *Records) Usage(month string) (map[string]*Used, error) {
	if _, err := time.Parse(monthFormat, month); err != nil {
		return nil, fmt.Errorf("%q is no month such as 2026-11", month)
	}
	page, err := r.usagePage(month)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]*Used{}, nil
	}
	return page.Projects, err
}
