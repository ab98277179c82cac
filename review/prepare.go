package review

import (
	"context"
	"maps"
	"reflect"
	"slices"
)

// Prepared is what a deploying job needs to reach its app's companions.
type Prepared struct {
	Network string
	Hosts   map[string]string // addresses by alias
}

// Prepare starts the companions of the release that a job is going to deploy, so
// that its script reaches them. One that the app has already in the same form
// is left running; a changed one is replaced on its volumes. Until the job
// deploys or is over, the record names the release as pending.
func (l *Lifecycle) Prepare(ctx context.Context, req Request) (Prepared, error) {
	app, err := l.App(req)
	if err != nil {
		return Prepared{}, err
	}
	unlock, err := l.lock(ctx, app, req.Log)
	if err != nil {
		return Prepared{}, err
	}
	defer unlock()
	d, err := l.newDeploy(app, req)
	if err != nil {
		return Prepared{}, err
	}
	for _, step := range []step{
		{"recover", d.recover},
		{"check room", d.checkRoom},
		{"prepare", d.prepare},
		{"start companions", d.startCompanions},
	} {
		if err := step.do(ctx); err != nil {
			return Prepared{}, remaining(err, d.undo(ctx))
		}
		d.done(app.Name, step.name)
	}
	hosts, err := d.companionHosts(ctx)
	return Prepared{Network: networkName(app.Name), Hosts: hosts}, err
}

// prepare notes the release to come.
func (d *deploy) prepare(context.Context) error {
	if err := d.chooseCompanions(); err != nil {
		return err
	}
	d.secrets.Companions = d.req.CompanionEnvs
	if err := d.Records.SaveSecrets(d.app.Name, d.next.ID, d.secrets); err != nil {
		return err
	}
	noted := d.record.without(d.next.Job)
	noted.Pending = append(noted.Pending, Pending{Release: d.next, Owner: d.req.Owner})
	return d.Records.Save(noted)
}

// chooseCompanions decides which of the app's companions can stay: those that are
// wanted just as they are.
func (d *deploy) chooseCompanions() error {
	d.next.Companions = slices.Clone(d.req.Companions)
	for i := range d.next.Companions {
		d.next.Companions[i].Since = d.next.ID
	}
	there := []Release{d.record.Live}
	for _, p := range d.record.Pending {
		there = append(there, p.Release)
	}
	for _, release := range there {
		if release.ID == "" {
			continue
		}
		secrets, err := d.Records.LoadSecrets(d.app.Name, release.ID)
		if err != nil {
			return err
		}
		d.keepCompanions(release, secrets)
	}
	return nil
}

// keepCompanions goes on with those of a release that are wanted just so.
func (d *deploy) keepCompanions(release Release, secrets Secrets) {
	for i := range d.next.Companions {
		c := &d.next.Companions[i]
		for _, old := range release.Companions {
			same := *c
			same.Since = old.Since
			if reflect.DeepEqual(same, old) && maps.Equal(secrets.Companions[c.Name], d.req.CompanionEnvs[c.Name]) {
				c.Since = old.Since
			}
		}
	}
}

// Abandon gives up what Prepare has made for a job that is over. If the job has
// deployed, or Prepare was not called, there is nothing to do.
func (l *Lifecycle) Abandon(ctx context.Context, app App, job int64) error {
	pending := func(record *Record, err error) bool {
		return err == nil && record != nil && record.owns(app) &&
			slices.ContainsFunc(record.Pending, func(p Pending) bool { return p.Job == job })
	}
	if !pending(l.Records.Load(app.Name)) {
		return nil
	}
	unlock, err := l.Records.Lock(ctx, app.Name, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	record, err := l.Records.Load(app.Name)
	if !pending(record, err) {
		return err
	}
	return l.leave(ctx, record.without(job), false)
}
