package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/coordinatortest"
)

// helperImage is made of the Debian image and the runner in PATH, as GitLab's is.
const helperImage = "localhost/review-test/helper"

// gitLab is one with the project group/shop, and a real gitlab-runner that calls the
// program.
type gitLab struct {
	*coordinatortest.Coordinator
	project project
	port    string
}

// newGitLab starts both. When the test ends, nothing may be left on the host.
func newGitLab(t *testing.T, files map[string]string) *gitLab {
	t.Helper()
	runner, err := exec.LookPath("gitlab-runner")
	if err != nil {
		t.Skip("gitlab-runner is not in PATH: ", err)
	}
	p := newProject(t, files)
	// The job's containers are in a network of their own, so loopback alone will not do.
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	g := &gitLab{coordinatortest.Start(t, listener, "http://host.containers.internal:"+port, p.dir), p, port}
	makeHelperImage(t, runner)
	startRunner(t, runner, g)
	return g
}

// addSubmodule commits a submodule at the commit that there is now.
func (g *gitLab) addSubmodule(dir, url string) {
	g.project.t.Helper()
	g.project.git("update-index", "--add", "--cacheinfo", "160000,"+g.SHA()+","+dir)
	modules := fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", dir, dir, url)
	if err := os.WriteFile(filepath.Join(g.project.dir, ".gitmodules"), []byte(modules), 0o644); err != nil {
		g.project.t.Fatal(err)
	}
	g.project.git("add", ".gitmodules")
	g.project.git("commit", "--quiet", "--message", "a submodule")
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
func startRunner(t *testing.T, runner string, g *gitLab) {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(runner, "run", "--config", runnerConfig(t, dir, g.URL))
	// The containers find the coordinator by a name that only they know. The runner
	// uses the same URL, with the coordinator as its proxy.
	proxy := "http://127.0.0.1:" + g.port
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	g.Gone = gone
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
