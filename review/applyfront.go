package review

import (
	"context"
	"maps"
	"slices"
)

// ApplyFront makes the front serve what the records say. An app whose record
// cannot be read stays as it is. refused holds, by app, what is wrong with it.
//
// Calls that come together share one run: a call that has waited for its turn
// returns at once if another has meanwhile done all that it is there for, which
// is to have begun after this call, and so after whatever its caller has saved.
func (l *Lifecycle) ApplyFront(ctx context.Context) (refused map[string]error, err error) {
	if l.FrontUnit != nil {
		return l.applyByUnit(ctx)
	}
	before := readFrontRuns(l.Records.frontRunsPath())
	unlock, err := l.Records.LockFront(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	runs := readFrontRuns(l.Records.frontRunsPath())
	if runs.Done > before.Begun {
		return runs.refused(), nil
	}
	runs.Begun++
	counted := runs.save(l.Records.frontRunsPath(), 0o640) == nil // a full disk only costs a run
	refused, err = l.applyFront(ctx)
	if err == nil && counted {
		runs.finish(refused)
		_ = runs.save(l.Records.frontRunsPath(), 0o640)
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
	l.writePages(records) // the apps do not depend on them, nor they on the front
	if err != nil {
		return nil, err
	}
	maps.Copy(refused, damaged)
	return refused, nil
}

func (l *Lifecycle) site(r Record) Site {
	site := Site{Name: r.Name, Host: r.Host, Project: r.Project, Release: r.Live.ID, Backend: r.Live.Backend, Sleeps: r.Live.Socket, PublicPaths: r.Live.PublicPaths}
	if r.Live.Static {
		site.Root = l.Records.SiteDir(r.Name, r.Live.ID)
	}
	return site
}
