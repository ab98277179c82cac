package review

import (
	"context"
	"fmt"
)

// Stop removes the app's virtual host, then its containers, network, volumes
// and images, and its record. Stopping an app that is already gone is not an
// error: GitLab runs on_stop jobs twice. It needs nothing but the app's name
// and refuses an app of that name that belongs to somebody else.
func (l *Lifecycle) Stop(ctx context.Context, app App, log *Log) error {
	unlock, err := l.lock(ctx, app, log)
	if err != nil {
		return err
	}
	defer unlock()
	record, err := l.Records.Load(app.Name)
	if err != nil {
		return unreadable(app.Name, err)
	}
	if record != nil && !record.owns(app) {
		return ownedBy(*record)
	}
	if err := l.remove(ctx, app.Name, record); err != nil {
		return remaining(err, "stopping it again is safe and continues where this ended")
	}
	if record == nil {
		log.Line("Review app %s was not running; nothing of it is left", app.Name)
		return nil
	}
	log.Line("Stopped review app %s; nothing of it is left", app.Name)
	return nil
}

// Find returns the app of that name: from its record, or, without one, as far
// as the containers of a stop that was killed still tell of it.
func (l *Lifecycle) Find(ctx context.Context, name string) (App, error) {
	record, err := l.Records.Load(name)
	if err != nil {
		return App{}, unreadable(name, err)
	}
	if record != nil {
		return record.App, nil
	}
	left, err := l.Containers.Objects(ctx, map[string]string{LabelApp: name})
	if err != nil {
		return App{}, err
	}
	if len(left) > 0 {
		return App{Name: name}, nil
	}
	return App{}, &Failure{
		What:  fmt.Sprintf("there is no review app %q", name),
		State: "nothing was changed",
		Hint:  `"review-executor list" shows those that are there`,
	}
}

// remove takes the app off the front first: nobody shall meet a dead backend.
// The record goes last, so that whatever ends this leaves an app that is
// listed as stopping and can be stopped again.
func (l *Lifecycle) remove(ctx context.Context, name string, record *Record) error {
	if record != nil {
		stopping := *record
		stopping.Stopping = true
		if err := l.Records.Save(stopping); err != nil { // a full disk must not keep an app alive
			if err := l.Records.Delete(name); err != nil {
				return err
			}
		}
		l.done(name, "mark as stopping")
	}
	if _, err := l.ApplyFront(ctx); err != nil {
		return fmt.Errorf("take %s off the front: %w", name, err)
	}
	l.done(name, "take off the front")
	if err := l.clear(ctx, name, l.Limits.StopGrace); err != nil {
		return err
	}
	l.done(name, "remove")
	err := l.Records.Delete(name)
	l.done(name, "forget")
	return err
}
