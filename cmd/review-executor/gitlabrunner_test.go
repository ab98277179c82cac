package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestGitLabRunner_JobRunsOnAClone(t *testing.T) {
	c := newGitLab(t, map[string]string{"greeting": "hello from the repository\n"})
	j := c.push(jobSpec{
		script:      []string{"cat greeting", `echo "at $(git rev-parse HEAD) in $PWD"`},
		afterScript: []string{`echo "after script: the job is a $CI_JOB_STATUS"`},
	})
	j.succeeded("hello from the repository", "at "+c.sha+" in /builds/group/shop", "after script: the job is a success", "with driver review-executor")
}

func TestGitLabRunner_FailedScriptIsAScriptFailureWithItsExitCode(t *testing.T) {
	c := newGitLab(t, nil)
	// A command that fails with 3 would count as 1: before 19.1 the runner's scripts
	// lose the code of everything but exit.
	j := c.push(jobSpec{script: []string{"echo before", "exit 3", "echo behind"}, afterScript: []string{`echo "after script: the job is a $CI_JOB_STATUS"`}})
	want := jobResult{"failed", "script_failure", 3}
	if got := j.wait(); !c.passesExitCodes() {
		want.ExitCode = got.ExitCode
	}
	if j.result != want {
		t.Errorf("%+v, want %+v", j.result, want)
	}
	j.says("before", "after script: the job is a failed")
	if strings.Contains(j.log(), "behind\n") {
		t.Errorf("the script went on:\n%s", j.log())
	}
}

// passesExitCodes tells whether the runner has BUILD_EXIT_CODE_FILE, since 17.9.
func (c *coordinator) passesExitCodes() bool {
	var major, minor int
	_, err := fmt.Sscanf(c.version, "%d.%d", &major, &minor)
	return err != nil || major > 17 || major == 17 && minor >= 9
}

func TestGitLabRunner_JobWithCacheAndArtifacts(t *testing.T) {
	c := newGitLab(t, nil)
	t.Cleanup(func() { removeCaches(t) })
	cache := []map[string]any{{"key": "deps", "paths": []string{"vendor"}, "policy": "pull-push", "when": "on_success"}}
	artifacts := []map[string]any{{"name": "site", "paths": []string{"dist"}, "when": "on_success", "artifact_type": "archive", "artifact_format": "zip"}}

	first := c.push(jobSpec{
		script: []string{"test ! -e vendor", "mkdir vendor dist", "echo a dependency >vendor/dep", "echo the page >dist/page"},
		cache:  cache, artifacts: artifacts,
	})
	first.succeeded()
	if got := unzip(t, first.artifacts["archive"], "dist/page"); got != "the page\n" {
		t.Errorf("dist/page is %q", got)
	}
	c.push(jobSpec{script: []string{"cat vendor/dep dist/page"}, cache: cache, needs: first}).succeeded("a dependency", "the page")
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
var endless = jobSpec{
	script:      []string{"sh -c 'while :; do echo tick; sleep 0.2; done' endless", "echo be''hind"},
	afterScript: []string{`echo "processes left: $(grep -als 'endles[s]' /proc/[0-9]*/cmdline | wc -l)"`},
}

func TestGitLabRunner_CancelledJobRunsItsAfterScriptAndLeavesNothing(t *testing.T) {
	c := newGitLab(t, nil)
	j := c.push(endless)
	j.waitFor("tick\n")
	j.setStatus("canceling")
	if got := j.wait(); got.State != "failed" {
		t.Errorf("%+v", got)
	}
	j.says("processes left: 0")
	if strings.Contains(j.log(), "behind") {
		t.Errorf("the script went on:\n%s", j.log())
	}
	nothingLeftBut(t, helperImage)
}

// TestGitLabRunner_AbortedJobLeavesNothing is a cancel by force, or by a GitLab
// before 17: the job is over for GitLab, so nothing of it runs any more.
func TestGitLabRunner_AbortedJobLeavesNothing(t *testing.T) {
	c := newGitLab(t, nil)
	j := c.push(endless)
	j.waitFor("tick\n")
	j.setStatus("canceled")
	j.wait()
	if strings.Contains(j.log(), "behind") || strings.Contains(j.log(), "processes left: 0") {
		t.Errorf("the job went on:\n%s", j.log())
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
	j := c.push(jobSpec{image: "localhost/no/such/image", script: []string{"true"}})
	if got := j.wait(); got.State != "failed" || got.FailureReason != "script_failure" {
		t.Errorf("%+v", got)
	}
	j.says("check its name")
	if n := strings.Count(j.log(), "ERROR: image localhost/no/such/image"); n != 1 {
		t.Errorf("it was tried %d times:\n%s", n, j.log())
	}
}

func TestGitLabRunner_DeploysAndStopsAReviewApp(t *testing.T) {
	c := newGitLab(t, page("from the runner"))
	report := []map[string]any{{"paths": []string{"review.env"}, "when": "on_success", "artifact_type": "dotenv", "artifact_format": "gzip"}}
	deploy := c.push(jobSpec{
		environment: "review/login", action: "start", script: []string{`echo "job $CI_JOB_ID"`}, artifacts: report,
		variables: []string{ // which is how a job would pretend to be another
			"CI_JOB_ID=666", "CI_COMMIT_REF_SLUG=evil", "CI_COMMIT_REF_NAME=evil", "CI_ENVIRONMENT_NAME=review/evil", "CI_ENVIRONMENT_SLUG=evil", "CI_PROJECT_ID=666", "CI_PROJECT_PATH=evil/evil",
		},
	})
	deploy.succeeded("job 666", "Deploying review app login", "Ready: http://login.review.localhost:"+host.Port)
	if got := appNames(t); len(got) != 1 || got[0] != "login" {
		t.Errorf("apps: %v", got)
	}
	if got := host.Get(t, "login.review.localhost", "/", true); !strings.Contains(got.Body, "from the runner") || !strings.Contains(got.Body, c.sha) {
		t.Errorf("serving %d %q", got.Status, got.Body)
	}
	if got := gunzip(t, deploy.artifacts["dotenv"]); !strings.Contains(got, "REVIEW_URL=http://login.review.localhost:"+host.Port+"\n") {
		t.Errorf("review.env is %q", got)
	}

	stop := c.push(jobSpec{environment: "review/login", action: "stop", script: []string{"true"}, variables: []string{"GIT_STRATEGY=none"}})
	stop.succeeded("Stopped review app login")
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
	spec := jobSpec{script: []string{`echo "job $CI_JOB_ID" >file`, "echo start''ed", "until test -e /tmp/go; do sleep 0.1; done", `echo "I wrote $(cat file)"`}}
	jobs := []*gitlabJob{c.push(spec), c.push(spec)}
	for _, j := range jobs {
		j.waitFor("started")
	}
	for _, j := range jobs { // only now may they end
		host.Podman(t, "exec", fmt.Sprintf("review-job-%d", j.id), "touch", "/tmp/go")
	}
	for _, j := range jobs {
		j.succeeded(fmt.Sprintf("I wrote job %d", j.id))
	}
}
