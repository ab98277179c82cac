package review

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// publish makes the front send the app's host to the new release, and returns
// when the front really does. If it cannot be, the release before is published
// as it was.
func (d *deploy) publish(ctx context.Context) error {
	started := time.Now()
	d.next.Deployed = started.UTC().Truncate(time.Second)
	if err := d.saveWithRoom(ctx); err != nil {
		return err
	}
	d.done(d.app.Name, "record")
	if err := d.serve(ctx, d.published()); err != nil {
		d.unpublish(ctx)
		return err
	}
	d.log.Step("front", "%s, serving after %s", d.app.Host, Since(started))
	for _, warning := range d.Front.Warnings(d.app.Host) {
		d.log.Line("WARNING: %s", warning)
	}
	return nil
}

// saveWithRoom saves the record. Of several apps that are deployed at the same time,
// not all may have room.
func (d *deploy) saveWithRoom(ctx context.Context) error {
	unlock, err := d.Records.LockRoom(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.checkRoom(ctx); err != nil {
		return err
	}
	if err := d.Records.Save(d.published()); err != nil {
		return err
	}
	d.Records.forgetAttempt(d.app.Name)
	return d.Records.ForgetEnding(d.app.Name)
}

// published is the record once the new release serves.
func (d *deploy) published() Record {
	record := d.record.without(d.next.Job)
	record.App, record.Live, record.Unreleased = d.app, d.next, false
	if d.mergeRequest != 0 {
		record.MergeRequest = d.mergeRequest
	}
	record.Pipeline = max(record.Pipeline, d.next.Pipeline)
	if d.record.Live.ID != "" {
		record.Previous = &d.record.Live
	}
	return record
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
	d.done(d.app.Name, "front")
	return d.Front.Serves(ctx, d.site(record))
}

// unpublish brings the record back and the front with it. The failure that led
// here is what the job log tells, so a second one adds nothing.
func (d *deploy) unpublish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if d.stuck = d.restoreRecord(d.record); d.stuck != nil {
		return
	}
	refused, err := d.ApplyFront(ctx)
	if d.switched {
		d.stuck = cmp.Or(err, refused[d.app.Name])
	}
}

// restoreRecord saves the record, or removes it if it says nothing.
func (l *Lifecycle) restoreRecord(record Record) error {
	if record.Live.ID == "" && len(record.Pending) == 0 {
		return l.Records.Delete(record.Name)
	}
	return l.Records.Save(record)
}

// retire removes the release before, after its last request. It stays in the
// record, with its image, for a rollback; the one before that goes.
func (d *deploy) retire(ctx context.Context) error {
	started := time.Now()
	ctx = context.WithoutCancel(ctx) // the new release serves: there is no way back
	if err := d.sweep(ctx, d.published(), true); err != nil {
		d.log.Line("WARNING: the release before could not be removed: %v", err)
		return nil
	}
	if before := d.record.Live; before.ID != "" {
		d.log.Step("retired", "version %s, after its last request, in %s", shortSHA(before.SHA), Since(started))
	}
	return nil
}
