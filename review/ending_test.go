package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

// newForgeWorld is a world with a GitLab that has the branch and the environment of
// one app, and a live app.
func newForgeWorld(t *testing.T) (*world, *reviewtest.Forge) {
	t.Helper()
	w, forge := newWorld(t), &reviewtest.Forge{}
	w.Forge, w.Lifetime = forge, review.LifetimeDefaults()
	forge.Set(42, func(p *review.Survey) { exists(p, "login") })
	w.deployedFrom("login", 1)
	return w, forge
}

// exists makes a branch and its environment.
func exists(p *review.Survey, branch string) {
	p.Branches[branch] = true
	p.Environments["review/"+branch] = review.ForgeEnvironment{State: "available"}
}

// from is a job of that branch.
func (w *world) from(branch string, number int64) review.Request {
	job := w.job(number, site(fmt.Sprintf("page %d", number)))
	job.Ref, job.Branch, job.Environment = branch, branch, "review/"+branch
	return job
}

func (w *world) deployedFrom(branch string, number int64) {
	w.t.Helper()
	if _, err := w.Deploy(context.Background(), w.from(branch, number)); err != nil {
		w.t.Fatal(err)
	}
}

// ago changes the app's record as if it had been deployed that long ago.
func (w *world) ago(app string, d time.Duration) {
	w.t.Helper()
	w.change(app, func(r *review.Record) { r.Live.Deployed = r.Live.Deployed.Add(-d) })
}

func (w *world) change(app string, change func(*review.Record)) {
	w.t.Helper()
	record, err := w.Records.Load(app)
	if err != nil || record == nil {
		w.t.Fatal(record, err)
	}
	change(record)
	if err := w.Records.Save(*record); err != nil {
		w.t.Fatal(err)
	}
}

// endings are the ways in which GitLab lets an app end.
var endings = map[string]struct {
	happens func(*review.Survey)
	says    string
}{
	"the branch is deleted": {func(p *review.Survey) { delete(p.Branches, "login") }, `branch "login" was deleted`},
	"the environment is stopped": {func(p *review.Survey) {
		p.Environments["review/login"] = review.ForgeEnvironment{State: "stopped", Updated: time.Now().Add(time.Second)}
	}, `environment "review/login" was stopped`},
	"its on_stop job never runs": {func(p *review.Survey) {
		p.Environments["review/login"] = review.ForgeEnvironment{State: "stopping", Updated: time.Now().Add(time.Second)}
	}, `environment "review/login" was stopped`},
	"the environment is deleted":  {func(p *review.Survey) { delete(p.Environments, "review/login") }, `environment "review/login" was stopped or deleted`},
	"the merge request is merged": {func(p *review.Survey) { mergeRequest(p, "merged", time.Second) }, "merge request !3 was merged"},
	"the merge request is closed": {func(p *review.Survey) { mergeRequest(p, "closed", time.Second) }, "merge request !3 was closed"},
	"the project is archived":     {func(p *review.Survey) { p.Closed = true }, "project group/shop is archived or about to be deleted"},
}

func mergeRequest(p *review.Survey, state string, in time.Duration) {
	p.MergeRequests = []review.MergeRequest{{Number: 3, Branch: "login", State: state, Ended: time.Now().Add(in)}}
}

func TestSync_EndsWhatGitLabHasEnded(t *testing.T) {
	for name, c := range endings {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			if log := w.syncs(); log != "" {
				t.Errorf("it did something to an app that is wanted: %s", log)
			}
			forge.Set(42, c.happens)
			if log, err := w.sync(true); err != nil || !strings.Contains(log, "login: would stop it: "+c.says) {
				t.Errorf("dry run: %q, %v", log, err)
			}
			w.serves("login", "page 1")
			if log := w.syncs(); !strings.Contains(log, "Stopped login of group/shop: "+c.says) {
				t.Errorf("it says %q", log)
			}
			w.leftNothing("login")
			if ending, err := w.Records.Ending("login"); err != nil || ending == nil || !strings.Contains(ending.Reason, c.says) {
				t.Errorf("it remembers %+v, %v", ending, err)
			}
		})
	}
}

// leftNothing asserts that nothing of the app is left, on the front, in the engine or
// on the disk.
func (w *world) leftNothing(app string) {
	w.t.Helper()
	w.serves(app, "404")
	for _, object := range w.engine.Inventory() {
		if strings.Contains(object, app) {
			w.t.Errorf("%s is left", object)
		}
	}
	for _, dir := range []string{"apps", "secrets", "sites", "stops"} {
		if left, _ := filepath.Glob(filepath.Join(w.dir, dir, app+"*")); left != nil {
			w.t.Errorf("%v is left", left)
		}
	}
}

func TestSync_LeavesWhatGitLabStillHas(t *testing.T) {
	for name, happens := range map[string]func(*review.Survey){
		"another branch goes": func(p *review.Survey) { delete(p.Branches, "other") },
		"its merge request is open": func(p *review.Survey) {
			p.MergeRequests = []review.MergeRequest{{Number: 3, Branch: "login", State: "opened"}}
		},
		"one is open and another was closed": func(p *review.Survey) {
			mergeRequest(p, "closed", time.Second)
			p.MergeRequests = append(p.MergeRequests, review.MergeRequest{Number: 4, Branch: "login", State: "opened"})
		},
		"it was deployed again after the merge":      func(p *review.Survey) { mergeRequest(p, "merged", -time.Hour) },
		"a merge request of a fork of the same name": func(p *review.Survey) { mergeRequest(p, "merged", time.Second); p.MergeRequests[0].Fork = true },
		"the merge request of another branch":        func(p *review.Survey) { mergeRequest(p, "merged", time.Second); p.MergeRequests[0].Branch = "other" },
		"its time is not over": func(p *review.Survey) {
			p.Environments["review/login"] = review.ForgeEnvironment{State: "available", AutoStop: time.Now().Add(time.Hour)}
		},
		"the deploying job is not over yet, so GitLab has the environment as it was before": func(p *review.Survey) {
			p.Environments["review/login"] = review.ForgeEnvironment{State: "stopped", Updated: time.Now().Add(-time.Hour), AutoStop: time.Now().Add(-time.Hour)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			forge.Set(42, func(p *review.Survey) { exists(p, "other"); happens(p) })
			if log, err := w.sync(false); err != nil || log != "" {
				t.Errorf("%q, %v", log, err)
			}
			w.serves("login", "page 1")
		})
	}
}

func TestSync_PolicyDecidesAboutMergeRequests(t *testing.T) {
	for _, state := range []string{"merged", "closed"} {
		w, forge := newForgeWorld(t)
		w.Lifetime.Merged, w.Lifetime.Closed = state != "merged", state != "closed"
		forge.Set(42, func(p *review.Survey) { mergeRequest(p, state, time.Second) })
		if log := w.syncs(); log != "" {
			t.Errorf("%s: %s", state, log)
		}
	}
}

func TestSync_EndsWhatItsTimeIsOverFor(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*world, *reviewtest.Forge)
		says    string
	}{
		"auto_stop_in": {func(w *world, forge *reviewtest.Forge) {
			forge.Set(42, func(p *review.Survey) {
				p.Environments["review/login"] = review.ForgeEnvironment{State: "available", AutoStop: time.Now().Add(-time.Minute)}
			})
			w.ago("login", time.Hour)
		}, "(auto_stop_in)"},
		"the host's own limit":                   {func(w *world, _ *reviewtest.Forge) { w.ago("login", 31*24*time.Hour) }, "more than 30 days ago"},
		"the host's own limit, without a GitLab": {func(w *world, _ *reviewtest.Forge) { w.Forge = nil; w.ago("login", 31*24*time.Hour) }, "more than 30 days ago"},
	} {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			c.happens(w, forge)
			if log := w.syncs(); !strings.Contains(log, c.says) {
				t.Errorf("it says %q", log)
			}
			w.leftNothing("login")
			if w.Forge != nil && !slices.Equal(forge.Stopped(), []string{"review/login"}) {
				t.Errorf("stopped in GitLab: %v", forge.Stopped())
			}
		})
	}
}

// TestSync_LeavesTheDeployThatGoesOn: an app whose time is over is deployed again at
// this very moment.
func TestSync_LeavesTheDeployThatGoesOn(t *testing.T) {
	w, _ := newForgeWorld(t)
	w.ago("login", 31*24*time.Hour)
	synced := false
	w.fault = func(op string) error {
		if op == "Build" {
			synced = true
			w.fault = nil
			if log, err := w.sync(false); err != nil || strings.Contains(log, "Stopped") {
				t.Errorf("%q, %v", log, err)
			}
		}
		return nil
	}
	if _, err := w.Deploy(context.Background(), w.from("login", 2)); err != nil || !synced {
		t.Fatal(err, synced)
	}
	w.serves("login", "page 2")
}

// TestTry_IsNotGitLabs: "try" deploys projects that GitLab has never heard of.
func TestTry_IsNotGitLabs(t *testing.T) {
	w, forge := newForgeWorld(t)
	job := w.from("tried", 2)
	job.ProjectID = review.LocalProjects + 42
	var log bytes.Buffer
	job.Log = review.NewLog(&log)
	if _, err := w.Deploy(context.Background(), job); err != nil || strings.Contains(log.String(), "WARNING") {
		t.Fatal(err, log.String())
	}
	if log := w.syncs(); log != "" {
		t.Error(log)
	}
	w.serves("tried", "page 2")
	w.ago("tried", 31*24*time.Hour)
	w.syncs()
	w.leftNothing("tried")
	if got := forge.Stopped(); len(got) > 0 {
		t.Error(got)
	}
}

func TestSync_PinnedAppsStay(t *testing.T) {
	for name, c := range endings {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			w.change("login", func(r *review.Record) { r.Pinned = true })
			w.ago("login", 31*24*time.Hour)
			forge.Set(42, c.happens)
			if log := w.syncs(); log != "" {
				t.Error(log)
			}
			w.serves("login", "page 1")
		})
	}
}

// TestSync_KeepsTheTimeThatGitLabGives is what "list" shows.
func TestSync_KeepsTheTimeThatGitLabGives(t *testing.T) {
	w, forge := newForgeWorld(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	forge.Set(42, func(p *review.Survey) {
		p.Environments["review/login"] = review.ForgeEnvironment{State: "available", AutoStop: until}
	})
	w.syncs()
	record, _ := w.Records.Load("login")
	if !record.AutoStop.Equal(until) {
		t.Errorf("%s, want %s", record.AutoStop, until)
	}
	forge.Set(42, func(p *review.Survey) { exists(p, "login") })
	w.syncs()
	if record, _ = w.Records.Load("login"); !record.AutoStop.IsZero() {
		t.Errorf("%s, though GitLab has none", record.AutoStop)
	}
}

// TestSync_MissingProject: GitLab says of a project that a token may not see what it
// says of one that is gone.
func TestSync_MissingProject(t *testing.T) {
	w, forge := newForgeWorld(t)
	other := w.from("other", 2)
	other.ProjectID, other.Project = 43, "group/blog"
	forge.Set(43, func(p *review.Survey) { exists(p, "other") })
	if _, err := w.Deploy(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	forge.Delete(42)
	log, err := w.sync(false)
	if err != nil || !strings.Contains(log, "WARNING: GitLab shows us no project group/shop (42)") {
		t.Errorf("%q, %v", log, err)
	}
	w.serves("login", "page 1")

	longAgo := func(r *review.Record) { r.Missing = time.Now().Add(-73 * time.Hour) }
	w.change("login", longAgo)
	forge.Delete(43)
	if _, err := w.sync(false); err != nil {
		t.Error(err)
	}
	w.serves("login", "page 1") // no project is to be seen: that is the token
	forge.Set(43, func(p *review.Survey) { exists(p, "other") })
	w.change("login", longAgo)
	if log, err := w.sync(false); err != nil || !strings.Contains(log, "Stopped login of group/shop: project group/shop is gone") {
		t.Errorf("%q, %v", log, err)
	}
	w.leftNothing("login")
	w.serves("other", "page 2")
}

func TestSync_MissingProjectIsGoneForAnAdministrator(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Admin = true
	forge.Delete(42)
	if log, err := w.sync(false); err != nil || !strings.Contains(log, "project group/shop is gone") {
		t.Errorf("%q, %v", log, err)
	}
	w.leftNothing("login")
}

// TestSync_ChangesNothingWithoutAnAnswer is complaint 6 of those that users have:
// the cleaner deleted everything.
func TestSync_ChangesNothingWithoutAnAnswer(t *testing.T) {
	for name, fault := range map[string]func(*reviewtest.Forge){
		"no answer": func(f *reviewtest.Forge) { f.Fail = func(string) error { return errors.New("502 Bad Gateway") } },
		"no second answer": func(f *reviewtest.Forge) {
			f.Set(42, func(p *review.Survey) { delete(p.Branches, "login") })
			f.Fail = func(op string) error {
				if op == "Survey app" {
					return errors.New("502 Bad Gateway")
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			fault(forge)
			log, err := w.sync(false)
			fails(t, err, review.System, "not every app could be compared with GitLab", "those stay as they are")
			if !strings.Contains(log, "502 Bad Gateway") || !strings.Contains(log, "stay") {
				t.Errorf("it says %q", log)
			}
			w.serves("login", "page 1")
		})
	}
}

// TestSync_BelievesNoHalfList: what is not in a list is asked for by name.
func TestSync_BelievesNoHalfList(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Answer = func(query review.Query, s *review.Survey) {
		if query.App == nil {
			s.Branches, s.Environments = map[string]bool{}, map[string]review.ForgeEnvironment{}
		}
	}
	if log := w.syncs(); log != "" {
		t.Error(log)
	}
	w.serves("login", "page 1")
}

// TestSync_BelievesNoListOfALostProject: the list lacks the branch, and then the whole
// project is not to be seen.
func TestSync_BelievesNoListOfALostProject(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Answer = func(query review.Query, s *review.Survey) {
		if clear(s.Branches); query.App != nil {
			*s = review.Survey{Missing: true}
		}
	}
	_, err := w.sync(false)
	fails(t, err, review.System, "those stay as they are")
	w.serves("login", "page 1")
}

// TestSync_LeavesAnAppToTheJobThatIsToDeployIt: the merge request was merged, and a
// newer pipeline's job runs its script.
func TestSync_LeavesAnAppToTheJobThatIsToDeployIt(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Set(42, func(p *review.Survey) { mergeRequest(p, "merged", time.Second) })
	job := w.from("login", 2)
	job.Requested = time.Now().Add(2 * time.Second)
	job.Companions = []review.Companion{w.redis()}
	job.Owner = "a runner"
	w.prepares(job)
	job.Prepared = true
	if log, err := w.sync(false); err != nil || strings.Contains(log, "Stopped") {
		t.Errorf("%q, %v", log, err)
	}
	if _, err := w.follows(happened(review.MergeRequestMerged)); err == nil {
		t.Error("the event is done with")
	}
	if _, err := w.Deploy(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "page 2")
}

// TestRollback_IsWantedNow: a merge request ended between the two releases.
func TestRollback_IsWantedNow(t *testing.T) {
	w, forge := newForgeWorld(t)
	w.change("login", func(r *review.Record) { r.Live.Requested = time.Now().Add(-time.Hour) })
	forge.Set(42, func(p *review.Survey) { mergeRequest(p, "merged", -time.Minute) })
	w.deployedFrom("login", 2)
	app, _ := w.Find(context.Background(), "login")
	if err := w.Rollback(context.Background(), app, review.NewLog(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	if log := w.syncs(); log != "" {
		t.Error(log)
	}
	w.serves("login", "page 1")
}

// TestDeploy_IsAsOldAsItsPublication: after a long build, GitLab's word about an
// environment that was stopped before is not older than the release.
func TestDeploy_IsAsOldAsItsPublication(t *testing.T) {
	w := newWorld(t)
	var built time.Time
	w.fault = func(op string) error {
		if op == "Build" {
			time.Sleep(1100 * time.Millisecond)
			built = time.Now()
		}
		return nil
	}
	w.deployed(1, "one")
	if record, err := w.Records.Load("login"); err != nil || record.Live.Deployed.Before(built.Truncate(time.Second)) {
		t.Errorf("deployed %s, %v; it was built at %s", record.Live.Deployed, err, built.UTC())
	}
}

// TestDeploy_OurOwnStopIsNotGitLabs: the app's time was over while its next job ran its
// script, and so we had GitLab stop the environment.
func TestDeploy_OurOwnStopIsNotGitLabs(t *testing.T) {
	w, forge := newForgeWorld(t)
	w.ago("login", 31*24*time.Hour)
	job := w.from("login", 2)
	job.Began = time.Now()
	w.syncs()
	if got := forge.Stopped(); len(got) != 1 {
		t.Fatal(got)
	}
	if _, err := w.Deploy(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "page 2")
}

// TestDeploy_EndInTheFutureIsAClocks: the host's clock was ahead when the app was
// stopped.
func TestDeploy_EndInTheFutureIsAClocks(t *testing.T) {
	w, _ := newForgeWorld(t)
	app, _ := w.Find(context.Background(), "login")
	if err := w.Stop(context.Background(), app, review.ByJob, review.NewLog(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	ending, _ := w.Records.Ending("login")
	ending.At = time.Now().AddDate(1, 0, 0)
	if err := w.Records.SaveEnding(*ending); err != nil {
		t.Fatal(err)
	}
	w.deployedFrom("login", 2)
}

func TestSync_StopsNoMoreThanItsShare(t *testing.T) {
	w, forge := newForgeWorld(t)
	branches := []string{"login"}
	for i := range 4 {
		branch := fmt.Sprintf("b%d", i)
		branches = append(branches, branch)
		forge.Set(42, func(p *review.Survey) { exists(p, branch) })
		w.deployedFrom(branch, int64(i+2))
	}
	forge.Set(42, func(p *review.Survey) { clear(p.Branches) })
	for _, dryRun := range []bool{true, false} {
		log, err := w.sync(dryRun)
		fails(t, err, review.System, "5 of 5 apps have ended, and one sync may stop 3: b0, b1, b2, b3, login", "none of them was stopped", "sync --yes")
		if why := `b3: would stop it: branch "b3" was deleted`; strings.Contains(log, why) != dryRun {
			t.Errorf("dry run %t: %q", dryRun, log)
		}
	}
	for i, branch := range branches[1:] {
		w.serves(branch, fmt.Sprintf("page %d", i+2))
	}
	var log bytes.Buffer
	if err := w.Sync(context.Background(), review.NewLog(&log), review.SyncOptions{Yes: true}); err != nil {
		t.Fatal(err)
	}
	for _, branch := range branches {
		w.leftNothing(branch)
	}
}

func TestStop_TellsGitLab(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Fail = func(op string) error {
		if op == "StopEnvironment" {
			return errors.New("503")
		}
		return nil
	}
	app, err := w.Find(context.Background(), "login")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := w.Stop(context.Background(), app, review.ByAdministrator, review.NewLog(&log)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "sync tries again") || len(forge.Stopped()) > 0 {
		t.Errorf("%s%v", log.String(), forge.Stopped())
	}
	w.syncs() // too soon
	ending, err := w.Records.Ending("login")
	if err != nil || ending == nil || !ending.Untold || ending.Tries != 1 {
		t.Fatal(ending, err)
	}
	ending.At = ending.At.Add(-2 * time.Minute)
	if err := w.Records.SaveEnding(*ending); err != nil {
		t.Fatal(err)
	}
	forge.Fail = nil
	w.syncs()
	if got := forge.Stopped(); !slices.Equal(got, []string{"review/login"}) {
		t.Errorf("stopped in GitLab: %v", got)
	}
	w.syncs()
	if got := forge.Stopped(); len(got) != 1 {
		t.Errorf("told twice: %v", got)
	}
}

func TestStop_ByAJobIsGitLabsOwn(t *testing.T) {
	w, forge := newForgeWorld(t)
	app, _ := w.Find(context.Background(), "login")
	if err := w.Stop(context.Background(), app, review.ByJob, review.NewLog(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	if got := forge.Stopped(); len(got) > 0 {
		t.Error(got)
	}
}

// TestDeploy_ResurrectsNothing is complaint 3: closing during a build brought the app
// back.
func TestDeploy_ResurrectsNothing(t *testing.T) {
	for name, c := range endings {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			built := false
			w.fault = func(op string) error {
				if op == "Build" && !built {
					built = true
					forge.Set(42, c.happens)
				}
				return nil
			}
			_, err := w.Deploy(context.Background(), w.from("login", 2))
			fails(t, err, review.Build, `review app "login" is not wanted any more: `+c.says, "while this job was running", "the version of 1111111 is still serving", "run a new pipeline")
			if !built {
				t.Error("it was not built")
			}
			w.fault = nil
			w.serves("login", "page 1")
			w.syncs()
			w.leftNothing("login")
		})
	}
}

// TestDeploy_AfterAStop: an environment that was stopped is deployed to again, and
// GitLab has it as stopped until the job is over.
func TestDeploy_AfterAStop(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Set(42, func(p *review.Survey) {
		p.Environments["review/login"] = review.ForgeEnvironment{State: "stopped", Updated: time.Now().Add(-time.Minute), AutoStop: time.Now().Add(-time.Minute)}
	})
	w.deployedFrom("login", 2)
	w.serves("login", "page 2")
	if log := w.syncs(); log != "" {
		t.Error(log)
	}
	w.serves("login", "page 2")
}

func TestDeploy_GoesOnWithoutAnAnswer(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Fail = func(string) error { return errors.New("502 Bad Gateway") }
	job := w.from("login", 2)
	var log bytes.Buffer
	job.Log = review.NewLog(&log)
	if _, err := w.Deploy(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "page 2")
	if !strings.Contains(log.String(), `WARNING: GitLab cannot be asked whether branch "login" is still there`) {
		t.Error(log.String())
	}
}

// TestStop_CancelsTheDeployThatGoesOn: nobody waits for a build of half an hour.
func TestStop_CancelsTheDeployThatGoesOn(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	app, err := w.Find(context.Background(), "login")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	w.fault = func(op string) error {
		if op == "Build" {
			w.fault = nil
			go func() {
				stopped <- w.Stop(context.Background(), app, review.ByAdministrator, review.NewLog(&bytes.Buffer{}))
			}()
			for { // as long as the stop needs to say that it waits
				if _, err := os.Stat(filepath.Join(w.dir, "stops", "login")); err == nil {
					return nil
				}
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}
	fails(t, w.deploy(2, "two"), review.Build, `review app "login" was stopped while this job was running`, "run the job again")
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	w.leftNothing("login")
}

// TestStop_WinsOverAJobThatBeganBefore: the job's script takes its time, and the app
// is stopped meanwhile.
func TestStop_WinsOverAJobThatBeganBefore(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	job := w.job(2, site("two"))
	job.Began = time.Now()
	app, _ := w.Find(context.Background(), "login")
	if err := w.Stop(context.Background(), app, review.ByAdministrator, review.NewLog(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	_, err := w.Deploy(context.Background(), job)
	fails(t, err, review.Build, `review app "login" was stopped while this job was running`, "nothing was changed")
	w.leftNothing("login")
	w.deployed(3, "three") // a job that begins after the stop
	if ending, err := w.Records.Ending("login"); err != nil || ending != nil {
		t.Errorf("it still remembers an end: %+v, %v", ending, err)
	}
}
