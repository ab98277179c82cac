package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Affected names the apps that an event may end.
func (l *Lifecycle) Affected(_ context.Context, event Event) ([]string, error) {
	records, _, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range records {
		if event.concerns(r) {
			names = append(names, r.Name)
		}
	}
	return names, nil
}

// concerns tells whether the event may be about the app.
func (e Event) concerns(r Record) bool {
	if e.ProjectID != 0 && e.ProjectID != r.ProjectID || e.ProjectID == 0 && e.Project != r.Project {
		return false
	}
	release := r.Current()
	branch := e.Branch != "" && release.Branch == e.Branch
	switch e.Kind {
	case BranchDeleted:
		return branch
	case MergeRequestMerged, MergeRequestClosed:
		return branch || !e.Mirror && e.MergeRequest != 0 && release.MergeRequest == e.MergeRequest
	case EnvironmentChanged:
		return e.Environment == r.Environment
	case ProjectDeleted, ProjectArchived:
		return true
	}
	return false
}

// Follow stops an app if that is what an event demands. The event alone is not
// believed: GitLab is asked, unless it cannot know, for a mirror, or is not
// configured. It is safe to repeat.
func (l *Lifecycle) Follow(ctx context.Context, event Event, app string, log *Log) error {
	record, err := l.Records.Load(app)
	if err != nil || record == nil || !event.concerns(*record) {
		return err
	}
	why, err := l.demands(ctx, event, *record)
	if err != nil {
		return err
	}
	if why == "" {
		log.Line("%s stays: GitLab does not say that it has ended", app)
		return nil
	}
	if l.asks(event) {
		return l.endIdle(ctx, *record, why, log)
	}
	unlock, err := l.lockToStop(ctx, record.App, log) // a deploy that goes on cannot ask, so it ends
	if err != nil {
		return err
	}
	defer unlock()
	return l.endAgreed(ctx, *record, why, log)
}

// asks tells whether GitLab is asked about an event.
func (l *Lifecycle) asks(event Event) bool { return !event.Mirror && l.Forge != nil }

// demands tells why the app has ended, if it has.
func (l *Lifecycle) demands(ctx context.Context, event Event, r Record) (string, error) {
	if r.Pinned {
		return "", nil
	}
	if !l.asks(event) {
		return l.believed(event, r), nil
	}
	survey, err := l.Forge.Survey(ctx, r.Current().query(r.App))
	if err != nil {
		return "", err
	}
	if survey.Missing && event.Kind == ProjectDeleted {
		return fmt.Sprintf("project %s was deleted", r.Project), nil
	}
	asked := r
	asked.Live = r.Current()
	return l.Lifetime.ended(asked, survey, time.Now()), nil
}

// Current is the release that serves or, if none does yet, the one to come.
func (r Record) Current() Release {
	if r.Live.ID == "" && len(r.Pending) > 0 {
		return r.Pending[0].Release
	}
	return r.Live
}

// believed is what an event says by itself. What was asked for since it came is not
// meant.
func (l *Lifecycle) believed(event Event, r Record) string {
	if !event.Received.After(r.Current().asked()) {
		return ""
	}
	switch {
	case event.Kind == BranchDeleted:
		return fmt.Sprintf("branch %q was deleted", Printable(event.Branch, 80))
	case event.Kind == MergeRequestMerged && l.Lifetime.Merged:
		return fmt.Sprintf("the merge request of branch %q was merged", Printable(event.Branch, 80))
	case event.Kind == MergeRequestClosed && l.Lifetime.Closed:
		return fmt.Sprintf("the merge request of branch %q was closed", Printable(event.Branch, 80))
	case event.Kind == ProjectDeleted, event.Kind == ProjectArchived && event.Mirror: // GitLab only says that it was changed
		return fmt.Sprintf("%s: %s", event.Kind, r.Project)
	}
	return ""
}

// errBusy tells that an app is left to a job that goes on, or has just changed it.
var errBusy = errors.New("a job works on it, and asks GitLab itself")

// endIdle ends an app that was found to have ended, unless a job is about to deploy
// what was asked for later.
func (l *Lifecycle) endIdle(ctx context.Context, found Record, why string, log *Log) error {
	unlock, err := l.Records.TryLock(found.Name)
	if err != nil {
		return err
	}
	if unlock == nil {
		return errBusy
	}
	defer unlock()
	record, err := l.Records.Load(found.Name)
	if err != nil {
		return err
	}
	if record != nil && slices.ContainsFunc(l.withoutGone(*record).Pending, func(p Pending) bool { return p.asked().After(found.Current().asked()) }) {
		return errBusy
	}
	return l.endAgreed(ctx, found, why, log)
}

// endAgreed ends an app that was found to have ended. The app's lock is held.
func (l *Lifecycle) endAgreed(ctx context.Context, found Record, why string, log *Log) error {
	record, err := l.Records.Load(found.Name)
	switch {
	case err != nil:
		return err
	case record == nil || !record.owns(found.App) || record.Pinned:
		return nil
	case record.Current().ID != found.Current().ID:
		return errBusy
	}
	if err := l.end(ctx, found.Name, record, why); err != nil {
		return remaining(err, "it is tried again")
	}
	log.Line("Stopped %s of %s: %s", found.Name, found.Project, why)
	l.tell(ctx, found.Name, log)
	return nil
}
