package review

import (
	"context"
	"fmt"
	"time"
)

// Why apps are stopped, but for what GitLab tells.
const (
	ByJob           = "its stop job has run"
	ByAdministrator = "the administrator has stopped it"
)

// Stop removes the app's virtual host, then its containers, network, volumes
// and images, and its record. A deploy that goes on is cancelled. Stopping an app
// that is already gone is not an error: GitLab runs on_stop jobs twice. It needs
// nothing but the app's name and refuses an app of that name that belongs to
// somebody else. why completes "was stopped: ".
func (l *Lifecycle) Stop(ctx context.Context, app App, why string, log *Log) error {
	unlock, err := l.lockToStop(ctx, app, log)
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
	if err := l.end(ctx, app.Name, record, why); err != nil {
		return remaining(err, "stopping it again is safe and continues where this ended")
	}
	if record == nil {
		log.Line("Review app %s was not running; nothing of it is left", app.Name)
		return nil
	}
	log.Line("Stopped review app %s; nothing of it is left", app.Name)
	l.tell(ctx, app.Name, log)
	return nil
}

// Find returns the app of that name: from its record, or, without one, as far
// as a deploy that failed or the containers of a stop that was killed still tell of it.
func (l *Lifecycle) Find(ctx context.Context, name string) (App, error) {
	record, err := l.Records.Load(name)
	if err != nil {
		return App{}, unreadable(name, err)
	}
	if record != nil {
		return record.App, nil
	}
	if attempt, found := l.Records.attempts()[name]; found {
		return attempt.App, nil
	}
	left, err := l.objects(ctx, name)
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

// end removes the app and remembers why. It takes the app off the front first:
// nobody shall meet a dead backend. The record goes last, so that whatever ends
// this leaves an app that is listed as stopping and can be stopped again.
func (l *Lifecycle) end(ctx context.Context, name string, record *Record, why string) error {
	if record != nil {
		stopping := *record
		if !stopping.Stopping {
			stopping.Stopping, stopping.Why = true, why
		}
		if err := l.Records.Save(stopping); err != nil { // a full disk must not keep an app alive
			if err := l.Records.Delete(name); err != nil {
				return err
			}
		}
		record = &stopping
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
	if record != nil {
		l.remember(*record)
	}
	err := l.Records.Delete(name)
	l.done(name, "forget")
	l.Records.forgetAttempt(name)
	l.showState(ctx)
	return err
}

// remember keeps how the app has ended, if the disk has room for that.
func (l *Lifecycle) remember(r Record) {
	_ = l.Records.SaveEnding(Ending{
		App:          r.App,
		Ref:          r.Live.Ref,
		SHA:          r.Live.SHA,
		Job:          r.Live.Job,
		MergeRequest: r.MergeRequest,
		Reason:       r.Why,
		At:           time.Now().UTC(),
		Untold:       l.Forge != nil && !Local(r.ProjectID),
	})
}

// tell has GitLab stop the environment of an app that has ended, so that the merge
// request says the truth. What fails is tried again by Sync.
func (l *Lifecycle) tell(ctx context.Context, name string, log *Log) (told bool) {
	ending, err := l.Records.Ending(name)
	if err != nil || ending == nil || !ending.Untold || l.Forge == nil {
		return true
	}
	ending.Told = time.Now().UTC()
	if ending.Reason != ByJob { // GitLab waits for that very job
		err = l.Forge.StopEnvironment(ctx, ending.ProjectID, ending.Environment)
	}
	if err == nil && ending.MergeRequest != 0 && l.Notes != nil {
		err = l.Forge.Note(ctx, ending.ProjectID, ending.MergeRequest, name, endedText(*ending))
	}
	if err != nil {
		log.Line("WARNING: GitLab was not told that environment %q has ended; sync tries again, less and less often, for a day: %s", Printable(ending.Environment, 80), Printable(AsFailure(err).Error(), 300))
		ending.Tries++
	}
	ending.Untold = err != nil
	_ = l.Records.SaveEnding(*ending) // told twice is harmless
	return err == nil
}
