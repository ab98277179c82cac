package review

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// publish makes the front send the app's host to the new release, and returns
// when the front really does. If it cannot be, the release before is published
// as it was.
func (d *deploy) publish(ctx context.Context) error {
	started := time.Now()
	record := Record{App: d.app, Live: d.next}
	if err := d.Records.Save(record); err != nil {
		return err
	}
	if err := d.serve(ctx, record); err != nil {
		d.unpublish(ctx)
		return err
	}
	d.req.Log.Step("front", "%s, serving after %s", d.app.Host, Since(started))
	return nil
}

func (d *deploy) serve(ctx context.Context, record Record) error {
	refused, err := d.ApplyFront(ctx)
	if err != nil {
		return err
	}
	if why, no := refused[d.app.Name]; no {
		return &Failure{
			What:  fmt.Sprintf("Apache refused the virtual host for %q", d.app.Name),
			Cause: why,
			Hint:  "not your branch: show this to the host's administrator",
		}
	}
	d.switched = true
	return d.Front.Serves(ctx, record.site())
}

// unpublish brings the record back and the front with it. The failure that led
// here is what the job log tells, so a second one adds nothing.
func (d *deploy) unpublish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if d.live == nil {
		d.stuck = d.Records.Delete(d.app.Name)
	} else {
		d.stuck = d.Records.Save(Record{App: d.app, Live: *d.live})
	}
	if d.stuck != nil {
		return
	}
	refused, err := d.ApplyFront(ctx)
	if d.switched {
		d.stuck = cmp.Or(err, refused[d.app.Name])
	}
}

// ApplyFront makes the front serve what the records say. An app whose record
// cannot be read stays as it is. refused holds, by app, what is wrong with it.
func (l *Lifecycle) ApplyFront(ctx context.Context) (refused map[string]error, err error) {
	unlock, err := l.Records.LockFront(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	records, damaged, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	sites := make([]Site, 0, len(records))
	for _, record := range records {
		if record.Stopping {
			continue
		}
		sites = append(sites, record.site())
	}
	refused, err = l.Front.Apply(ctx, sites, slices.Collect(maps.Keys(damaged)))
	if err != nil {
		return nil, err
	}
	maps.Copy(refused, damaged)
	return refused, nil
}

// retire removes the release before, after its last request.
func (d *deploy) retire(ctx context.Context) {
	if d.live == nil {
		return
	}
	started := time.Now()
	draining, cancel := context.WithTimeout(ctx, d.Limits.Drain)
	defer cancel()
	d.Front.Drain(draining, d.live.Backend)
	if err := d.sweep(ctx, d.next.ID, d.Limits.StopGrace); err != nil {
		d.req.Log.Line("WARNING: the release before could not be removed: %v", err)
		return
	}
	d.req.Log.Step("retired", "version %s, after its last request, in %s", shortSHA(d.live.SHA), Since(started))
}

// sweep removes every release of the app but the one to keep.
func (d *deploy) sweep(ctx context.Context, keep string, grace time.Duration) error {
	releases, err := d.Containers.Values(ctx, map[string]string{LabelApp: d.app.Name}, LabelRelease)
	if err != nil {
		return err
	}
	for _, release := range releases {
		if release == keep {
			continue
		}
		labels := map[string]string{LabelApp: d.app.Name, LabelRelease: release}
		if err := d.Containers.Remove(ctx, labels, grace); err != nil {
			return err
		}
	}
	return nil
}
