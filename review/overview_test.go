package review_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// pages keeps every overview that it is given.
type pages struct {
	all  []review.Overview
	fail error
}

func (p *pages) Write(o review.Overview) error {
	p.all = append(p.all, o)
	return p.fail
}

func (p *pages) last() review.Overview { return p.all[len(p.all)-1] }

// write replaces a file of the state directory.
func (w *world) write(file, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, file), []byte(content), 0o640); err != nil {
		w.t.Fatal(err)
	}
}

// shown is what people see of the app now.
func (w *world) shown(p *pages, name string) review.Seen {
	w.t.Helper()
	for _, seen := range p.last().Apps {
		if seen.Name == name {
			return seen
		}
	}
	w.t.Errorf("%s is not shown", name)
	return review.Seen{}
}

func TestPages_FollowADeploy(t *testing.T) {
	w := newWorld(t)
	p := &pages{}
	w.Pages = p
	var during review.Seen
	w.fault = func(op string) error {
		if op == "Build" {
			during = w.shown(p, "login")
		}
		return nil
	}
	job := w.job(1, site("one"))
	job.JobURL, job.User = "https://gitlab.example.org/group/shop/-/jobs/1", "ada"
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if during.State != "deploying" || during.Attempt == nil || during.Attempt.JobURL != job.JobURL {
		t.Errorf("while it was built: %+v", during)
	}
	if seen := w.shown(p, "login"); seen.State != "live" || seen.Attempt != nil || seen.Live.User != "ada" || seen.URL != "https://login.review.example.org" {
		t.Errorf("deployed: %+v", seen)
	}
	w.fault = func(op string) error {
		if op == "Build" {
			return errors.New("out of luck")
		}
		return nil
	}
	if err := w.deploy(2, "two"); err == nil {
		t.Fatal("it did not fail")
	}
	seen := w.shown(p, "login")
	if seen.State != "live" || seen.Live.Job != 1 || seen.Attempt == nil || !seen.Attempt.Failed || seen.Attempt.Job != 2 || seen.Attempt.Why == "" {
		t.Errorf("after a failure: %+v", seen)
	}
	w.fault = nil
	w.deployed(3, "three")
	if seen := w.shown(p, "login"); seen.Attempt != nil {
		t.Errorf("after the next: %+v", seen)
	}
	if err := w.Stop(t.Context(), review.App{Name: "login", Host: "login.review.example.org", ProjectID: 42, Environment: "review/login"}, review.ByJob, w.job(4, nil).Log); err != nil {
		t.Fatal(err)
	}
	if o := p.last(); len(o.Apps) != 0 || len(o.Ended) != 1 || o.Ended[0].Reason != review.ByJob {
		t.Errorf("stopped: %+v", o)
	}
}

func TestPages_FirstDeployThatFailedIsShownForDays(t *testing.T) {
	w := newWorld(t)
	p := &pages{}
	w.Pages = p
	w.fault = func(op string) error {
		if op == "Build" {
			return errors.New("out of luck")
		}
		return nil
	}
	if err := w.deploy(1, "one"); err == nil {
		t.Fatal("it did not fail")
	}
	w.fault = nil
	if seen := w.shown(p, "login"); seen.State != "failed" || seen.Live.ID != "" || seen.Attempt.Job != 1 {
		t.Errorf("%+v", seen)
	}
	w.syncs()
	w.shown(p, "login")
	if app, err := w.Find(t.Context(), "login"); err != nil || app.ProjectID != 42 { // so that it can be stopped by hand
		t.Errorf("%+v, %v", app, err)
	}
	w.age("login", 4*24*time.Hour)
	w.syncs()
	if o := p.last(); len(o.Apps) != 0 {
		t.Errorf("days later: %+v", o.Apps)
	}
}

// age makes the last attempt so much older.
func (w *world) age(app string, by time.Duration) {
	w.t.Helper()
	review.AgeAttempt(w.t, w.Records, app, by)
}

func TestPages_KilledDeployIsNotShownForEver(t *testing.T) {
	w := newWorld(t)
	p := &pages{}
	w.Pages = p
	w.deployed(1, "one")
	w.write("attempts/login.json", `{"name":"login","host":"login.review.example.org","project_id":42,"environment":"review/login","sha":"2","job":2}`)
	unlock, err := w.Records.Lock(t.Context(), "login", func() {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.sync(false); err != nil {
		t.Fatal(err)
	}
	if seen := w.shown(p, "login"); seen.Attempt == nil || seen.Attempt.Failed {
		t.Errorf("while it goes on: %+v", seen.Attempt)
	}
	unlock()
	w.syncs()
	if seen := w.shown(p, "login"); seen.Attempt == nil || !seen.Attempt.Failed || seen.Attempt.Why != "the deploy was interrupted" {
		t.Errorf("killed: %+v", seen.Attempt)
	}
}

func TestPages_ThatFailKeepNobodyFromDeploying(t *testing.T) {
	w := newWorld(t)
	w.Pages = &pages{fail: errors.New("the disk is full")}
	said := 0
	w.Unwritten = func(err error) {
		if said++; err.Error() != "the disk is full" {
			t.Error(err)
		}
	}
	w.deployed(1, "one")
	w.deployed(2, "two")
	if said == 0 {
		t.Error("nobody was told")
	}
	_ = os.RemoveAll(filepath.Join(w.dir, "attempts"))
	w.write("attempts", "no directory")
	w.deployed(3, "three")
}

func TestOverview_TellsWhenAppsEnd(t *testing.T) {
	w := newWorld(t)
	p := &pages{}
	w.Pages = p
	w.Lifetime = review.Lifetime{MaxAge: 24 * time.Hour}
	w.deployed(1, "one")
	if seen := w.shown(p, "login"); !seen.Expires.Equal(seen.Live.Deployed.Add(24 * time.Hour)) {
		t.Errorf("it ends %s, deployed %s", seen.Expires, seen.Live.Deployed)
	}
}
