package pages_test

import (
	"fmt"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// seen is a live app of a project.
func seen(project, name, ref string, ago time.Duration) review.Seen {
	app := review.App{Name: name, Host: name + "." + domain, ProjectID: 42, Project: project, Environment: "review/" + name}
	live := review.Release{
		ID: "3f2c1a9-4711", Ref: ref, SHA: "3f2c1a9b5d0e4c7f8a6b1d2e3f4a5b6c7d8e9f00", Job: 4711, Deployed: noon.Add(-ago), MergeRequest: 17,
		User: "anna", JobURL: "https://gitlab.example.org/" + project + "/-/jobs/4711",
	}
	return review.Seen{
		Record: review.Record{Version: 1, App: app, Live: live}, URL: "https://" + app.Host, State: "live", Expires: live.Deployed.Add(30 * 24 * time.Hour),
	}
}

func attempt(s review.Seen, failed bool, why string) *review.Attempt {
	a := review.Attempt{
		App: s.App, Ref: s.Live.Ref, SHA: "c0ffee1234567890c0ffee1234567890c0ffee12", Job: 4712, User: "boris", Began: noon.Add(-20 * time.Minute),
		JobURL: "https://gitlab.example.org/" + s.Project + "/-/jobs/4712", Failed: failed, Why: why,
	}
	if failed {
		a.Ended = a.Began.Add(3 * time.Minute)
	}
	return &a
}

// neverLive is the app as it is before its first deploy is done.
func neverLive(s review.Seen, state string) review.Seen {
	s.Live, s.State, s.Expires = review.Release{}, state, time.Time{}
	return s
}

func ended(name, reason string, ago time.Duration) review.Ending {
	return review.Ending{
		App: review.App{Name: name, Host: name + "." + domain, ProjectID: 42, Project: "group/shop", Environment: "review/" + name},
		Ref: "feature/" + name, SHA: "9ab01ce", Job: 4000, Reason: reason, At: noon.Add(-ago),
	}
}

const unhealthy = `review app "search" was not healthy within 2m0s: container exited with code 1; its last line: "DATABASE_URL is not set"`

// three apps, one of each that can be seen, and two that have ended.
func three() review.Overview {
	login := seen("group/shop", "login-form", "feature/login-form", 3*time.Hour)
	login.Attempt = attempt(login, true, unhealthy)
	pinned := seen("group/shop", "main", "main", 49*time.Hour)
	pinned.Pinned, pinned.Expires = true, time.Time{}
	pinned.SleepAfter = "1h"
	search := seen("web/site", "search", "feature/search", 0)
	search.Attempt = attempt(search, false, "")
	search = neverLive(search, "deploying")
	return review.Overview{
		At:    noon,
		Apps:  []review.Seen{login, pinned, search},
		Ended: []review.Ending{ended("cart", `branch "feature/cart" was deleted`, 26*time.Hour), ended("footer", "merge request !9 was merged", 2*time.Hour)},
	}
}

// many apps in all states, of 8 projects.
func many(n int) review.Overview {
	o := review.Overview{At: noon}
	people := []string{"anna", "boris", "chiara", "dmitri", "eve", "a.user.with.a.rather.long.login.name"}
	for i := range n {
		project := fmt.Sprintf("group/project-%d", i*8/n)
		if i*8/n == 3 {
			project = "company/department/team/a-project-whose-path-is-long-enough-to-need-two-lines-on-a-phone"
		}
		s := seen(project, fmt.Sprintf("feature-%03d", i), fmt.Sprintf("feature/%03d", i), time.Duration(i*i)*time.Minute)
		s.Live.User, s.Live.MergeRequest, s.Live.Job = people[i%len(people)], int64(i%3*100), int64(1000+i)
		switch {
		case i%17 == 3:
			s.Attempt = attempt(s, true, unhealthy)
		case i%23 == 4:
			s.Attempt = attempt(s, false, "")
		case i%31 == 5:
			s.Attempt = attempt(s, true, "the Containerfile cannot be built: exit status 127")
			s = neverLive(s, "failed")
		case i%37 == 6:
			s.Stopping, s.State, s.Why = true, "stopping", "merge request !9 was merged"
		case i%29 == 7:
			s.Pinned, s.Expires = true, time.Time{}
		case i%41 == 8:
			s.Live.Ref = "renovate/a-very-long-branch-name-without-any-space-that-somebodys-bot-has-made-of-a-package-and-its-version-number-1.2.3"
		}
		o.Apps = append(o.Apps, s)
	}
	for i := range n / 8 {
		o.Ended = append(o.Ended, ended(fmt.Sprintf("old-%03d", i), "merge request !9 was merged", time.Duration(i)*5*time.Hour))
	}
	return o
}
