package pages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// app is one app as the pages show it and apps.json lists it. Its links are
// checked; all other text is whatever strangers wrote.
type app struct {
	Name            string    `json:"name"`
	URL             string    `json:"url"`
	Project         string    `json:"project"`
	Environment     string    `json:"environment"`
	State           string    `json:"state"` // live, deploying, failed or stopping
	Why             string    `json:"why,omitempty"`
	Ref             string    `json:"ref"`
	SHA             string    `json:"sha"`
	Job             int64     `json:"job"`
	JobURL          string    `json:"job_url,omitempty"`
	User            string    `json:"user,omitempty"`
	MergeRequest    int64     `json:"merge_request,omitempty"`
	MergeRequestURL string    `json:"merge_request_url,omitempty"`
	Deployed        time.Time `json:"deployed,omitzero"`
	Pinned          bool      `json:"pinned,omitempty"`
	Expires         time.Time `json:"expires,omitzero"`
	SleepAfter      string    `json:"sleep_after,omitempty"`  // 1h, or never; "": nothing can wake it
	Deploying       *attempt  `json:"deploying,omitempty"`    // goes on
	LastFailure     *attempt  `json:"last_failure,omitempty"` // the last deploy, if it failed

	host string
}

// attempt is a deploy that goes on or has failed.
type attempt struct {
	Ref    string    `json:"ref"`
	SHA    string    `json:"sha"`
	Job    int64     `json:"job"`
	JobURL string    `json:"job_url,omitempty"`
	User   string    `json:"user,omitempty"`
	Why    string    `json:"why,omitempty"` // it failed
	At     time.Time `json:"at"`            // it began or failed
}

// ending is an app that is gone.
type ending struct {
	Name         string    `json:"name"`
	Project      string    `json:"project"`
	Environment  string    `json:"environment"`
	Ref          string    `json:"ref,omitempty"`
	SHA          string    `json:"sha,omitempty"`
	Job          int64     `json:"job,omitempty"`
	MergeRequest int64     `json:"merge_request,omitempty"`
	Reason       string    `json:"reason"`
	At           time.Time `json:"at"`

	host string
}

// newApps are the apps by project and name.
func newApps(all []review.Seen) []app {
	apps := make([]app, 0, len(all))
	for _, seen := range all {
		apps = append(apps, newApp(seen))
	}
	slices.SortStableFunc(apps, func(a, b app) int { return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Name, b.Name)) })
	return apps
}

// Sleeps tells whether the app sleeps when nobody uses it.
func (a app) Sleeps() bool { return a.SleepAfter != "" && a.SleepAfter != review.Never.String() }

func newApp(s review.Seen) app {
	a := app{
		Name: s.Name, URL: checkedLink(s.URL), Project: s.Project, Environment: s.Environment, State: s.State,
		Deployed: s.Live.Deployed, Pinned: s.Pinned, Expires: s.Expires, SleepAfter: s.SleepAfter, host: s.Host,
	}
	if s.Stopping {
		a.Why = s.Why
	}
	a.version(shown(s))
	if s.Attempt == nil {
		return a
	}
	tried := &attempt{s.Attempt.Ref, s.Attempt.SHA, s.Attempt.Job, checkedLink(s.Attempt.JobURL), s.Attempt.User, s.Attempt.Why, s.Attempt.Began}
	if s.Attempt.Failed {
		tried.At = s.Attempt.Ended
		a.LastFailure = tried
	} else {
		a.Deploying = tried
	}
	return a
}

// shown is the release that serves, or else the one that is or was to.
func shown(s review.Seen) review.Release {
	if t := s.Attempt; t != nil && s.Live.ID == "" {
		return review.Release{Ref: t.Ref, SHA: t.SHA, Job: t.Job, JobURL: t.JobURL, User: t.User, MergeRequest: t.MergeRequest}
	}
	return s.Current()
}

func (a *app) version(r review.Release) {
	a.Ref, a.SHA, a.Job, a.User, a.MergeRequest = r.Ref, r.SHA, r.Job, r.User, r.MergeRequest
	a.JobURL = checkedLink(r.JobURL)
	if project, _, found := strings.Cut(a.JobURL, "/-/jobs/"); found && r.MergeRequest > 0 {
		a.MergeRequestURL = fmt.Sprintf("%s/-/merge_requests/%d", project, r.MergeRequest) // as plain as the job's
	}
}

// newEndings are newest first.
func newEndings(all []review.Ending) []ending {
	ended := make([]ending, 0, len(all))
	for _, e := range all {
		ended = append(ended, ending{e.Name, e.Project, e.Environment, e.Ref, e.SHA, e.Job, e.MergeRequest, e.Reason, e.At, e.Host})
	}
	slices.SortStableFunc(ended, func(a, b ending) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name)) })
	return ended
}

// recent are those that are listed, of all endings.
func recent[T any](ended []T) []T { return ended[:min(20, len(ended))] }

// checkedLink is the link, or "" if nobody should be sent there.
func checkedLink(link string) string {
	if review.CheckLink(link) != nil {
		return ""
	}
	return link
}
