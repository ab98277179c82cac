package main

import (
	"fmt"
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
	binary, err := os.ReadFile(runner)
	if err != nil {
		t.Fatal(err)
	}
	buildImage(t, helperImage, "FROM localhost/review-demo/debian\nCOPY gitlab-runner /usr/local/bin/gitlab-runner-helper\n", file{"gitlab-runner", binary})
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

type file struct {
	name    string
	content []byte
}

// buildImage makes an image that goes when the test ends. The files are
// executable.
func buildImage(t *testing.T, name, containerfile string, files ...file) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range append(files, file{"Containerfile", []byte(containerfile)}) {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { host.Podman(t, "rmi", "--force", name) })
	host.Podman(t, "build", "--quiet", "--tag", name, dir)
}
