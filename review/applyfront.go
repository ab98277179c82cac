package review

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// ApplyFront makes the front serve what the records say. An app whose record
// cannot be read stays as it is. refused holds, by app, what is wrong with it.
//
// Calls that come together share one run: a call that has waited for its turn
// returns at once if another has meanwhile done all that it is there for, which
// is to have begun after this call, and so after whatever its caller has saved.
func (l *Lifecycle) ApplyFront(ctx context.Context) (refused map[string]error, err error) {
	before := l.Records.frontRuns()
	unlock, err := l.Records.LockFront(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	runs := l.Records.frontRuns()
	if runs.Done > before.Begun {
		return runs.refused(), nil
	}
	runs.Begun++
	counted := l.Records.saveFrontRuns(runs) == nil // a full disk only costs a run
	refused, err = l.applyFront(ctx)
	if err == nil && counted {
		runs.finish(refused)
		_ = l.Records.saveFrontRuns(runs)
	}
	return refused, err
}

func (l *Lifecycle) applyFront(ctx context.Context) (refused map[string]error, err error) {
	records, damaged, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	sites := make([]Site, 0, len(records))
	for _, record := range records {
		if record.Serves() {
			sites = append(sites, l.site(record))
		}
	}
	refused, err = l.Front.Apply(ctx, sites, slices.Collect(maps.Keys(damaged)))
	if err != nil {
		return nil, err
	}
	maps.Copy(refused, damaged)
	l.writePages(records) // the apps do not depend on them
	return refused, nil
}

func (l *Lifecycle) site(r Record) Site {
	site := Site{Name: r.Name, Host: r.Host, Project: r.Project, Release: r.Live.ID, Backend: r.Live.Backend, PublicPaths: r.Live.PublicPaths}
	if r.Live.Static {
		site.Root = l.Records.SiteDir(r.Name, r.Live.ID)
	}
	return site
}

// frontRuns counts the runs that changed the front: the last that began, and the
// last that was done, with what was refused in it.
type frontRuns struct {
	Begun   int64             `json:"begun"`
	Done    int64             `json:"done"`
	Refused map[string]string `json:"refused,omitempty"`
}

func (f *frontRuns) finish(refused map[string]error) {
	f.Done = f.Begun
	f.Refused = map[string]string{}
	for app, why := range refused {
		f.Refused[app] = why.Error()
	}
}

func (f frontRuns) refused() map[string]error {
	refused := map[string]error{}
	for app, why := range f.Refused {
		refused[app] = errors.New(why)
	}
	return refused
}

// frontRuns reads the count; one that cannot be read makes nobody skip a run.
func (r *Records) frontRuns() frontRuns {
	var runs frontRuns
	data, err := os.ReadFile(r.frontRunsPath())
	if err != nil || json.Unmarshal(data, &runs) != nil || runs.Done > runs.Begun {
		return frontRuns{}
	}
	return runs
}

func (r *Records) saveFrontRuns(runs frontRuns) error {
	data, err := json.Marshal(runs)
	if err != nil {
		return err
	}
	return renameio.WriteFile(r.frontRunsPath(), data, 0o640)
}

func (r *Records) frontRunsPath() string { return filepath.Join(r.dir, "front.json") }
