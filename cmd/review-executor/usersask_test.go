package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

// These tests have what users of other review apps complain about first: what was
// left behind, what came back, and what was taken away by mistake.

// gitlabHost is a GitLab with project 7, its branch feature/login and the environment
// review/login, and the host's configuration with it.
func gitlabHost(t *testing.T) (gitlab *gitlabtest.Server, config string) {
	t.Helper()
	gitlab = gitlabtest.New()
	t.Cleanup(gitlab.Close)
	gitlab.Set(gitlabtest.Project{
		ID: 7, Path: "group/shop", Branches: []string{"main", "feature/login"},
		Environments: []gitlabtest.Environment{{Name: "review/login"}},
	})
	return gitlab, configWithGitLab(t, gitlab)
}

func configWithGitLab(t *testing.T, gitlab *gitlabtest.Server) string {
	t.Helper()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(gitlab.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("%s\n[gitlab]\nurl = %q\ntoken_file = %q\nnotes = true\n", config, gitlab.URL, token)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join(host.Dir, "state", "gitlab")) })
	return file
}

// deployedFor is a job that has deployed review/login, with that GitLab.
func deployedFor(t *testing.T, config string) *driverJob {
	t.Helper()
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.config = config
	j.prepared().checkout(page("hello")).succeeded(t)
	j.run("build_script", "true").succeeded(t)
	serves(t, "login", "/", "hello")
	j.stage("cleanup").succeeded(t)
	return j
}

func syncWith(t *testing.T, config string, args ...string) result {
	t.Helper()
	return runWith(t, nil, append([]string{"--config", config, "sync"}, args...)...)
}

// isGone asserts that nothing of review/login is left, on the host and in GitLab.
func isGone(t *testing.T, gitlab *gitlabtest.Server) {
	t.Helper()
	if got := host.Get(t, "login.review.localhost", "/", true); got.Status != http.StatusNotFound {
		t.Errorf("it answers %d", got.Status)
	}
	nothingLeft(t)
	for _, dir := range []string{"apps", "secrets", "sites"} {
		if left, _ := filepath.Glob(filepath.Join(host.Dir, "state", dir, "login*")); left != nil {
			t.Errorf("left: %v", left)
		}
	}
	for _, e := range gitlab.Project(7).Environments {
		if e.Name == "review/login" && e.State != "stopped" {
			t.Errorf("GitLab has the environment as %q", e.State)
		}
	}
}

func TestUsersAsk1_NothingIsLeftAfterAMergeRequestIsClosed(t *testing.T) {
	gitlab, config := gitlabHost(t)
	gitlab.Change(7, func(p *gitlabtest.Project) {
		p.MergeRequests = []gitlabtest.MergeRequest{{IID: 3, Branch: "feature/login"}}
	})
	deployedFor(t, config)
	if notes := gitlab.Project(7).MergeRequests[0].Notes; len(notes) != 1 || !strings.Contains(notes[0].Body, "login.review.localhost") {
		t.Errorf("the merge request says %+v", notes)
	}
	syncWith(t, config).succeeded(t)
	serves(t, "login", "/", "hello")
	gitlab.Change(7, func(p *gitlabtest.Project) {
		soon := time.Now().Add(time.Second)
		p.MergeRequests[0].State, p.MergeRequests[0].Closed, p.MergeRequests[0].Updated = "closed", soon, soon
	})
	syncWith(t, config).succeeded(t).says(t, "Stopped login of group/shop: merge request !3 was closed")
	isGone(t, gitlab)
	if notes := gitlab.Project(7).MergeRequests[0].Notes; len(notes) != 1 || !strings.Contains(notes[0].Body, "is stopped") {
		t.Errorf("the merge request says %+v", notes)
	}
}

func TestUsersAsk2_BranchDeletedWithoutAMergeRequest(t *testing.T) {
	gitlab, config := gitlabHost(t)
	deployedFor(t, config)
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Branches = []string{"main"} })
	syncWith(t, config, "--dry-run").succeeded(t).says(t, `login: would stop it: branch "feature/login" was deleted`)
	serves(t, "login", "/", "hello")
	syncWith(t, config).succeeded(t).says(t, `Stopped login of group/shop: branch "feature/login" was deleted`)
	isGone(t, gitlab)
}

func TestUsersAsk3_ClosingDuringABuildBringsNothingBack(t *testing.T) {
	gitlab, config := gitlabHost(t)
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.config = config
	files := page("hello")
	files["Containerfile"] = "FROM " + busybox + "\nRUN echo compiling; sleep 1\n" + strings.SplitN(files["Containerfile"], "\n", 2)[1]
	j.prepared().checkout(files).succeeded(t)
	building := j.startRun("build_script", "true").saying("compiling")
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Branches = []string{"main"} })
	building.wait().exited(t, buildFailure, `review app "login" is not wanted any more: branch "feature/login" was deleted while this job was running`)
	j.stage("cleanup").succeeded(t)
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Environments[0].State = "stopped" }) // as GitLab does with the branch
	isGone(t, gitlab)
}

func TestUsersAsk4_OnStopNeverRan(t *testing.T) {
	gitlab, config := gitlabHost(t)
	deployedFor(t, config)
	gitlab.Change(7, func(p *gitlabtest.Project) {
		p.Environments[0].State, p.Environments[0].Updated = "stopping", time.Now().Add(time.Second) // for ever: no runner takes the job
	})
	syncWith(t, config).succeeded(t).says(t, `Stopped login of group/shop: environment "review/login" was stopped`)
	isGone(t, gitlab)
}

func TestUsersAsk5_StoppingNeedsNoRepository(t *testing.T) {
	gitlab, config := gitlabHost(t)
	j := deployedFor(t, config)
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Branches, p.Environments[0].State = nil, "stopped" })
	stop := j.another().deploying()
	stop.config, stop.image = config, "registry.invalid/nothing:1"
	stop.vars[1] = "CI_ENVIRONMENT_ACTION=stop"
	stop.prepared()
	stop.run("build_script", "true").succeeded(t).says(t, "Stopped review app login; nothing of it is left")
	isGone(t, gitlab)
}

// TestGitLab_TokenThatCannotBeUsed keeps nothing from running but what GitLab decides.
func TestGitLab_TokenThatCannotBeUsed(t *testing.T) {
	gitlab, config := gitlabHost(t)
	if err := os.Chmod(filepath.Join(filepath.Dir(config), "token"), 0o644); err != nil {
		t.Fatal(err)
	}
	deployedFor(t, config)
	lost := append([]string{"rm", "--force", "--ignore", "--time", "0"}, names(t, "app")...)
	eventually(t, "podman has removed the app", func() bool { // Podman 4.3 at times finds its files busy
		return exec.Command(filepath.Join(host.Dir, "podman"), lost...).Run() == nil
	})
	syncWith(t, config).failed(t, "login: made anew from its image", "GitLab could not be asked about group/shop, so its 1 apps stay", "may be read by others (mode 0644)")
	serves(t, "login", "/", "hello")
	runWith(t, nil, "--config", config, "stop", "login").succeeded(t).says(t, "nothing of it is left", "WARNING: GitLab was not told")
	if asked := gitlab.Asked(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}

func TestUsersAsk6_TheCleanerDeletesNothingByMistake(t *testing.T) {
	gitlab, config := gitlabHost(t)
	j := deployedFor(t, config)
	apps := []string{"login"}
	for i := range 3 {
		name := fmt.Sprintf("site%d", i)
		apps = append(apps, name)
		gitlab.Change(7, func(p *gitlabtest.Project) {
			p.Environments = append(p.Environments, gitlabtest.Environment{Name: "review/" + name})
		})
		next := j.another().deploying()
		next.config, next.vars[0] = config, "CI_ENVIRONMENT_NAME=review/"+name
		next.vars = append(next.vars, "REVIEW_STATIC=.")
		next.prepared().checkout(map[string]string{"index.html": "hello"}).succeeded(t)
		next.run("build_script", "true").succeeded(t)
		next.stage("cleanup").succeeded(t)
	}
	stay := func(want ...string) {
		t.Helper()
		syncWith(t, config).failed(t, want...)
		for _, app := range apps {
			serves(t, app, "/", "hello")
		}
	}
	for _, c := range []struct {
		fault gitlabtest.Fault
		want  string
	}{
		{gitlabtest.Fault{Status: http.StatusInternalServerError}, "500"},
		{gitlabtest.Fault{Status: http.StatusUnauthorized}, "401"},
		{gitlabtest.Fault{Truncate: true}, "group/shop"},
	} {
		gitlab.Fail(gitlabtest.BranchList, c.fault)
		stay("GitLab could not be asked about group/shop, so its 4 apps stay", c.want)
		gitlab.Heal()
	}
	before := gitlab.Project(7)
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Branches, p.Environments = nil, nil }) // an old backup, say
	stay("4 of 4 apps have ended, and one sync may stop 3: login, site0, site1, site2", "none of them was stopped", "sync --yes")
	gitlab.Set(before)
	gitlab.Fail(gitlabtest.BranchList, gitlabtest.Fault{Empty: true}) // the list says one thing and the branch another
	syncWith(t, config).succeeded(t)
	gitlab.Heal()
	for _, app := range apps {
		serves(t, app, "/", "hello")
	}
	syncWith(t, config).succeeded(t)
	gitlab.Change(7, func(p *gitlabtest.Project) { p.Branches = nil })
	syncWith(t, config, "--yes").succeeded(t)
	isGone(t, gitlab)
}
