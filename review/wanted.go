package review

import (
	"context"
	"fmt"
	"time"
)

// stoppedSince tells whether somebody has stopped the app after the time. Of what has
// ended by itself, a deploy asks GitLab. An end in the future is of a clock that was
// wrong.
func (l *Lifecycle) stoppedSince(app App, began time.Time) bool {
	ending, err := l.Records.Ending(app.Name)
	if err != nil || ending == nil || !app.owns(ending.App) {
		return false
	}
	somebody := ending.Reason == ByJob || ending.Reason == ByAdministrator
	return somebody && ending.At.After(began) && !ending.At.After(time.Now())
}

// toldSince tells whether it was us who stopped the environment after the time.
func (l *Lifecycle) toldSince(app App, began time.Time) bool {
	ending, err := l.Records.Ending(app.Name)
	return err == nil && ending != nil && app.owns(ending.App) && ending.Told.After(began)
}

// stillWanted asks, just before the new release is published, whether its branch,
// environment and merge request are still there, and nobody wants the app stopped.
// If GitLab cannot be asked, the deploy goes on: the next sync asks again.
func (d *deploy) stillWanted(ctx context.Context) error {
	d.unwatch()
	if d.Records.stopAsked(d.app.Name, d.req.Began) {
		return stoppedMeanwhile(d.app.Name)
	}
	if d.Forge == nil || Local(d.app.ProjectID) {
		return nil
	}
	survey, err := d.Forge.Survey(ctx, d.next.query(d.app))
	if err != nil || survey.Missing {
		if err == nil {
			err = fmt.Errorf("it shows us no project %s", d.app.Project)
		}
		d.log.Line("WARNING: GitLab cannot be asked whether %s is still there; \"review-executor sync\" asks again: %s", d.next.origin(), Printable(AsFailure(err).Error(), 300))
		return nil
	}
	d.noteTo(survey)
	asked := Record{App: d.app, Live: d.next, Pinned: d.record.Pinned}
	asked.Live.Deployed = d.req.Began // what GitLab says of an environment that was stopped before, it says until this job is over
	survey = withoutAutoStop(survey)
	if e, there := survey.Environments[d.app.Environment]; there && d.toldSince(d.app, d.req.Began) {
		e.State = "available"
		survey.Environments[d.app.Environment] = e
	}
	why := d.Lifetime.ended(asked, survey, d.req.Began)
	if why == "" {
		return nil
	}
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("review app %q is not wanted any more: %s while this job was running", d.app.Name, why),
		Hint: "run a new pipeline if it shall be there",
	}
}

// withoutAutoStop is a survey whose environments stay for ever: GitLab begins
// auto_stop_in anew when the deploying job is over.
func withoutAutoStop(s Survey) Survey {
	environments := map[string]ForgeEnvironment{}
	for name, e := range s.Environments {
		e.AutoStop = time.Time{}
		environments[name] = e
	}
	s.Environments = environments
	return s
}

// query asks for what concerns one release alone.
func (r Release) query(app App) Query {
	return Query{
		ProjectID: app.ProjectID,
		Since:     r.asked(),
		App:       &Source{Environment: app.Environment, Branch: r.Branch, MergeRequest: r.MergeRequest},
	}
}

// origin is the branch, tag or merge request in words.
func (r Release) origin() string {
	switch {
	case r.MergeRequest != 0:
		return fmt.Sprintf("merge request !%d", r.MergeRequest)
	case r.Branch != "":
		return fmt.Sprintf("branch %q", Printable(r.Branch, 80))
	}
	return fmt.Sprintf("%q", Printable(r.Ref, 80))
}
