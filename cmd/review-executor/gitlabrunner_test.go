package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/coordinatortest"
)

func TestGitLabRunner_JobRunsOnAClone(t *testing.T) {
	c := newGitLab(t, map[string]string{"greeting": "hello from the repository\n"})
	j := c.Push(coordinatortest.Spec{
		Script:      []string{"cat greeting", `echo "at $(git rev-parse HEAD) in $PWD"`},
		AfterScript: []string{`echo "after script: the job is a $CI_JOB_STATUS"`},
	})
	j.Succeeded("hello from the repository", "at "+c.SHA()+" in /builds/group/shop", "after script: the job is a success", "with driver review-executor")
}

func TestGitLabRunner_FailedScriptIsAScriptFailureWithItsExitCode(t *testing.T) {
	c := newGitLab(t, nil)
	// A command that fails with 3 would count as 1: before 19.1 the runner's scripts
	// lose the code of everything but exit.
	j := c.Push(coordinatortest.Spec{Script: []string{"echo before", "exit 3", "echo behind"}, AfterScript: []string{`echo "after script: the job is a $CI_JOB_STATUS"`}})
	want := coordinatortest.Result{State: "failed", FailureReason: "script_failure", ExitCode: 3}
	if got := j.Wait(); !c.passesExitCodes() {
		want.ExitCode = got.ExitCode
	}
	if got := j.Wait(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	j.Says("before", "after script: the job is a failed")
	if strings.Contains(j.Log(), "behind\n") {
		t.Errorf("the script went on:\n%s", j.Log())
	}
}

// passesExitCodes tells whether the runner has BUILD_EXIT_CODE_FILE, since 17.9.
func (g *gitLab) passesExitCodes() bool {
	var major, minor int
	_, err := fmt.Sscanf(g.Version(), "%d.%d", &major, &minor)
	return err != nil || major > 17 || major == 17 && minor >= 9
}

func TestGitLabRunner_JobWithCacheAndArtifacts(t *testing.T) {
	c := newGitLab(t, nil)
	t.Cleanup(func() { removeCaches(t) })
	cache := []map[string]any{{"key": "deps", "paths": []string{"vendor"}, "policy": "pull-push", "when": "on_success"}}
	artifacts := []map[string]any{{"name": "site", "paths": []string{"dist"}, "when": "on_success", "artifact_type": "archive", "artifact_format": "zip"}}

	first := c.Push(coordinatortest.Spec{
		Script: []string{"test ! -e vendor", "mkdir vendor dist", "echo a dependency >vendor/dep", "echo the page >dist/page"},
		Cache:  cache, Reports: artifacts,
	})
	first.Succeeded()
	if got := unzip(t, first.Artifacts["archive"], "dist/page"); got != "the page\n" {
		t.Errorf("dist/page is %q", got)
	}
	c.Push(coordinatortest.Spec{Script: []string{"cat vendor/dep dist/page"}, Cache: cache, Needs: first}).Succeeded("a dependency", "the page")
}

// removeCaches removes what outlives jobs by design.
func removeCaches(t *testing.T) {
	t.Helper()
	volumes := host.Podman(t, "volume", "ls", "--filter", "label=review-executor.role=cache", "--format", "{{.Name}}")
	for _, volume := range strings.Fields(volumes) {
		host.Podman(t, "volume", "rm", volume)
	}
}

func unzip(t *testing.T, archive []byte, name string) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// endless is a job to cancel. The after script counts what is left of the
// script; the bracket keeps grep from finding itself.
var endless = coordinatortest.Spec{
	Script:      []string{"sh -c 'while :; do echo tick; sleep 0.2; done' endless", "echo be''hind"},
	AfterScript: []string{`echo "processes left: $(grep -als 'endles[s]' /proc/[0-9]*/cmdline | wc -l)"`},
}

func TestGitLabRunner_CancelledJobRunsItsAfterScriptAndLeavesNothing(t *testing.T) {
	c := newGitLab(t, nil)
	j := c.Push(endless)
	j.WaitFor("tick\n")
	j.SetStatus("canceling")
	if got := j.Wait(); got.State != "failed" {
		t.Errorf("%+v", got)
	}
	j.Says("processes left: 0")
	if strings.Contains(j.Log(), "behind") {
		t.Errorf("the script went on:\n%s", j.Log())
	}
	nothingLeftBut(t, helperImage)
}

// TestGitLabRunner_AbortedJobLeavesNothing is a cancel by force, or by a GitLab
// before 17: the job is over for GitLab, so nothing of it runs any more.
func TestGitLabRunner_AbortedJobLeavesNothing(t *testing.T) {
	c := newGitLab(t, nil)
	j := c.Push(endless)
	j.WaitFor("tick\n")
	j.SetStatus("canceled")
	j.Wait()
	if strings.Contains(j.Log(), "behind") || strings.Contains(j.Log(), "processes left: 0") {
		t.Errorf("the job went on:\n%s", j.Log())
	}
	nothingLeftBut(t, helperImage)
}

// nothingLeftBut fails the test unless the host has only the image.
func nothingLeftBut(t *testing.T, image string) {
	t.Helper()
	for _, left := range host.Leftovers(t) {
		if !strings.Contains(left, image) {
			t.Errorf("left on the host: %s", left)
		}
	}
}

func TestGitLabRunner_MissingImageFailsTheJobAtOnce(t *testing.T) {
	c := newGitLab(t, nil)
	j := c.Push(coordinatortest.Spec{Image: "localhost/no/such/image", Script: []string{"true"}})
	if got := j.Wait(); got.State != "failed" || got.FailureReason != "script_failure" {
		t.Errorf("%+v", got)
	}
	j.Says("check its name")
	if n := strings.Count(j.Log(), "ERROR: image localhost/no/such/image"); n != 1 {
		t.Errorf("it was tried %d times:\n%s", n, j.Log())
	}
}

func TestGitLabRunner_DeploysAndStopsAReviewApp(t *testing.T) {
	c := newGitLab(t, page("from the runner"))
	report := []map[string]any{{"paths": []string{"review.env"}, "when": "on_success", "artifact_type": "dotenv", "artifact_format": "gzip"}}
	deploy := c.Push(coordinatortest.Spec{
		Environment: "review/login", Action: "start", Script: []string{`echo "job $CI_JOB_ID"`}, Reports: report,
		Variables: []string{ // which is how a job would pretend to be another
			"CI_JOB_ID=666", "CI_COMMIT_REF_SLUG=evil", "CI_COMMIT_REF_NAME=evil", "CI_ENVIRONMENT_NAME=review/evil", "CI_ENVIRONMENT_SLUG=evil", "CI_PROJECT_ID=666", "CI_PROJECT_PATH=evil/evil",
		},
	})
	deploy.Succeeded("job 666", "Deploying review app login", "Ready: http://login.review.localhost:"+host.Port)
	if got := appNames(t); len(got) != 1 || got[0] != "login" {
		t.Errorf("apps: %v", got)
	}
	if got := host.Get(t, "login.review.localhost", "/", true); !strings.Contains(got.Body, "from the runner") || !strings.Contains(got.Body, c.SHA()) {
		t.Errorf("serving %d %q", got.Status, got.Body)
	}
	if got := gunzip(t, deploy.Artifacts["dotenv"]); !strings.Contains(got, "REVIEW_URL=http://login.review.localhost:"+host.Port+"\n") {
		t.Errorf("review.env is %q", got)
	}

	stop := c.Push(coordinatortest.Spec{Environment: "review/login", Action: "stop", Script: []string{"true"}, Variables: []string{"GIT_STRATEGY=none"}})
	stop.Succeeded("Stopped review app login")
	nothingLeftBut(t, helperImage)
}

func gunzip(t *testing.T, data []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGitLabRunner_TwoJobsOfAProjectAtOnce(t *testing.T) {
	c := newGitLab(t, map[string]string{"file": "of the repository\n"})
	spec := coordinatortest.Spec{Script: []string{`echo "job $CI_JOB_ID" >file`, "echo start''ed", "until test -e /tmp/go; do sleep 0.1; done", `echo "I wrote $(cat file)"`}}
	jobs := []*coordinatortest.Job{c.Push(spec), c.Push(spec)}
	for _, j := range jobs {
		j.WaitFor("started")
	}
	for _, j := range jobs { // only now may they end
		host.Podman(t, "exec", fmt.Sprintf("review-job-%d", j.ID), "touch", "/tmp/go")
	}
	for _, j := range jobs {
		j.Succeeded(fmt.Sprintf("I wrote job %d", j.ID))
	}
}
