package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperImage is made of the Debian image and the runner in PATH, as GitLab's is.
const helperImage = "localhost/review-test/helper"

// newGitLab is a GitLab with the project group/shop and a real gitlab-runner
// that calls the program. When the test ends, nothing may be left on the host.
func newGitLab(t *testing.T, files map[string]string) *coordinator {
	t.Helper()
	runner, err := exec.LookPath("gitlab-runner")
	if err != nil {
		t.Skip("gitlab-runner is not in PATH: ", err)
	}
	c := newCoordinator(t, newProject(t, files))
	makeHelperImage(t, runner)
	startRunner(t, runner, c)
	return c
}

func makeHelperImage(t *testing.T, runner string) {
	t.Helper()
	dir := t.TempDir()
	binary, err := os.ReadFile(runner)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gitlab-runner"), binary, 0o755); err != nil {
		t.Fatal(err)
	}
	containerfile := "FROM localhost/review-demo/debian\nCOPY gitlab-runner /usr/local/bin/gitlab-runner-helper\n"
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Podman(t, "rmi", "--force", helperImage) })
	host.Podman(t, "build", "--quiet", "--tag", helperImage, dir)
}

// startRunner runs gitlab-runner until the test ends.
func startRunner(t *testing.T, runner string, c *coordinator) {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(runner, "run", "--config", runnerConfig(t, dir, c.url()))
	// The containers find the coordinator by a name that only they know. The runner
	// uses the same URL, with the coordinator as its proxy.
	proxy := "http://127.0.0.1:" + c.port()
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	c.gone = gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	t.Cleanup(func() {
		signal := syscall.SIGQUIT // lets jobs end
		if t.Failed() {
			signal = syscall.SIGTERM
		}
		_ = cmd.Process.Signal(signal)
		select {
		case <-gone:
		case <-time.After(2 * time.Minute):
			t.Error("gitlab-runner did not end")
			_ = cmd.Process.Kill()
		}
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("gitlab-runner said:\n%s", said)
		}
	})
}

// runnerConfig writes the runner's configuration, and for the program the
// host's with another helper image.
func runnerConfig(t *testing.T, dir, url string) string {
	t.Helper()
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := filepath.Join(dir, "review-executor.toml"), filepath.Join(dir, "runner.toml")
	config = regexp.MustCompile(`(?m)^helper_image = .*`).ReplaceAll(config, []byte(fmt.Sprintf("helper_image = %q", helperImage)))
	if err := os.WriteFile(ours, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "concurrent = 2\ncheck_interval = 1\n[[runners]]\nname = \"test\"\nurl = %q\ntoken = \"glrt-0123456789abcdefghij\"\nexecutor = \"custom\"\nrequest_concurrency = 2\n", url)
	fmt.Fprintf(&text, "[runners.custom]\ngraceful_kill_timeout = 60\n")
	for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
		fmt.Fprintf(&text, "%s_exec = %q\n%s_args = [\"--config\", %q, %q]\n", stage, program, stage, ours, stage)
	}
	if err := os.WriteFile(theirs, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return theirs
}

// log is the job log so far.
func (j *gitlabJob) log() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.trace)
}

// wait returns how the job ended. By then the runner has cleaned up.
func (j *gitlabJob) wait() jobResult {
	j.t.Helper()
	select {
	case <-j.finished:
	case <-j.gone:
		j.t.Fatalf("gitlab-runner is gone; the job log:\n%s", j.log())
	case <-time.After(time.Minute):
		j.t.Fatalf("the job did not end; its log:\n%s", j.log())
	}
	return j.result
}

// succeeded fails the test unless the job succeeds and its log says all of want.
func (j *gitlabJob) succeeded(want ...string) {
	j.t.Helper()
	if got := j.wait(); got.State != "success" {
		j.t.Fatalf("job %d: %+v\n%s", j.id, got, j.log())
	}
	j.says(want...)
}

func (j *gitlabJob) says(want ...string) {
	j.t.Helper()
	for _, text := range want {
		if !strings.Contains(j.log(), text) {
			j.t.Errorf("the log of job %d does not say %q:\n%s", j.id, text, j.log())
		}
	}
}

// waitFor waits until the log of the running job says text.
func (j *gitlabJob) waitFor(text string) {
	j.t.Helper()
	for range 600 {
		if strings.Contains(j.log(), text) {
			return
		}
		select {
		case <-j.finished:
			j.t.Fatalf("job %d ended before it said %q:\n%s", j.id, text, j.log())
		case <-j.gone:
			j.t.Fatalf("gitlab-runner is gone; the job log:\n%s", j.log())
		case <-time.After(100 * time.Millisecond):
		}
	}
	j.t.Fatalf("job %d does not say %q:\n%s", j.id, text, j.log())
}

// setStatus is what GitLab tells the runner from now on.
func (j *gitlabJob) setStatus(status string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status = status
}

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
	j.says(`"image:"`)
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
