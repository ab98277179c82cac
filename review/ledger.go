package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

const (
	monthFormat = "2006-01"
	// keptMonths is how many months' usage is kept.
	keptMonths   = 24
	usageVersion = 1
)

// page is the usage of one month, a file of its own. Last is in the newest: sums and
// what they were counted from change in one step, so that no kill counts twice.
type page struct {
	Version  int              `json:"version"`
	Projects map[string]*Used `json:"projects"` // by number
	Last     *Reading         `json:"last,omitempty"`
}

// ledger is the page of the reading before.
type ledger struct {
	records *Records
	month   string
	page    page
	last    Reading // zero: there is none
}

func (r *Records) usageFile(month string) string { return filepath.Join(r.dir, "usage", month+".json") }

func (r *Records) usagePage(month string) (page, error) {
	file := r.usageFile(month)
	data, err := os.ReadFile(file)
	if err != nil {
		return page{}, fmt.Errorf("read usage: %w", err)
	}
	var p page
	if err := json.Unmarshal(data, &p); err != nil {
		return page{}, fmt.Errorf("usage %s is damaged: %w", file, err)
	}
	if p.Version != usageVersion {
		return page{}, fmt.Errorf("usage %s has version %d; this program knows version %d", file, p.Version, usageVersion)
	}
	if p.Projects == nil {
		p.Projects = map[string]*Used{}
	}
	maps.DeleteFunc(p.Projects, func(_ string, used *Used) bool { return used == nil })
	return p, nil
}

// Months names those of which there is usage, in order.
func (r *Records) Months() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "usage"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list usage: %w", err)
	}
	var months []string
	for _, entry := range entries {
		month, found := strings.CutSuffix(entry.Name(), ".json")
		if _, err := time.Parse(monthFormat, month); found && err == nil {
			months = append(months, month)
		}
	}
	return months, nil
}

// lastReading is the newest there is.
func (r *Records) lastReading() (Reading, error) {
	months, err := r.Months()
	if err != nil {
		return Reading{}, err
	}
	for _, month := range slices.Backward(months) {
		p, err := r.usagePage(month)
		if err != nil {
			return Reading{}, err
		}
		if p.Last != nil {
			return *p.Last, nil
		}
	}
	return Reading{}, nil
}

// openLedger finds where counting goes on. A damaged page is set aside, and the
// error says so: what it had is not counted, and counting begins anew. A page
// whose reading is of the future is from before the clock was set back: counting
// goes on in the present month's.
func (r *Records) openLedger(now time.Time) (ledger, error) {
	months, failed := r.Months()
	for _, month := range slices.Backward(months) {
		p, err := r.usagePage(month)
		if err != nil {
			failed = errors.Join(failed, r.setAside(month, now, err))
			continue
		}
		if p.Last == nil {
			continue
		}
		if current := now.Format(monthFormat); month > current {
			last := *p.Last
			p.Last = nil
			failed = errors.Join(failed, r.savePage(month, p))
			return ledger{r, current, r.pageOrNew(current), last}, failed
		}
		return ledger{r, month, p, *p.Last}, failed
	}
	current := now.Format(monthFormat)
	return ledger{records: r, month: current, page: r.pageOrNew(current)}, failed
}

func (r *Records) pageOrNew(month string) page {
	if p, err := r.usagePage(month); err == nil {
		return p
	}
	return page{Version: usageVersion, Projects: map[string]*Used{}}
}

func (r *Records) setAside(month string, now time.Time, why error) error {
	aside := fmt.Sprintf("%s.damaged-%d", r.usageFile(month), now.Unix())
	if err := os.Rename(r.usageFile(month), aside); err != nil {
		return fmt.Errorf("%w; and it cannot be set aside: %w", why, err)
	}
	return fmt.Errorf("%w; it is set aside as %s, and counting begins anew", why, filepath.Base(aside))
}

func (r *Records) savePage(month string, p page) error {
	p.Version = usageVersion
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	file := r.usageFile(month)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	if err := renameio.WriteFile(file, append(data, '\n'), 0o640); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	return nil
}

// add counts what is new, month by month. Each page that is left for the next is
// saved as of its month's end, so that what follows a kill counts the rest.
func (l ledger) add(t tally) error {
	from := time.Time{}
	for current := t.reading.At.Format(monthFormat); l.month < current; {
		end, err := time.Parse(monthFormat, l.month)
		if err != nil {
			return err
		}
		end = end.AddDate(0, 1, 0)
		l.count(t, from, end)
		reading := l.last.until(end, t)
		l.page.Last = &reading
		if err := l.records.savePage(l.month, l.page); err != nil {
			return err
		}
		from, l.month = end, end.Format(monthFormat)
		l.page = l.records.pageOrNew(l.month)
	}
	l.count(t, from, t.reading.At)
	l.page.Last = &t.reading
	return errors.Join(l.records.savePage(l.month, l.page), l.records.forgetUsage(t.reading.At))
}

func (l ledger) count(t tally, from, to time.Time) {
	for _, s := range t.shares {
		if s.project == "" {
			continue
		}
		used := l.page.Projects[s.project]
		if used == nil {
			used = &Used{}
			l.page.Projects[s.project] = used
		}
		used.add(s, from, to)
	}
}

// until is the reading as it would have been at end, before the one of the tally:
// processors are counted as if they had been used evenly.
func (r Reading) until(end time.Time, t tally) Reading {
	then := Reading{At: end, Apps: r.Apps, Disk: r.Disk, DiskAt: r.DiskAt, Containers: map[string]Counter{}}
	for id, now := range t.reading.Containers {
		before := r.Containers[id]
		from := r.At
		if !before.Started.Equal(now.Started) {
			before, from = Counter{}, later(from, now.Started)
		}
		if whole := t.reading.At.Sub(from); whole > 0 && end.After(from) {
			part := float64(end.Sub(from)) / float64(whole)
			then.Containers[id] = Counter{now.Started, before.CPU + time.Duration(part*float64(now.CPU-before.CPU))}
		}
	}
	return then
}

// forgetUsage removes what is too old to keep.
func (r *Records) forgetUsage(now time.Time) error {
	months, err := r.Months()
	oldest := now.AddDate(0, -keptMonths, 1-now.Day()).Format(monthFormat)
	for _, month := range months {
		if month < oldest {
			err = errors.Join(err, os.Remove(r.usageFile(month)))
		}
	}
	return err
}
