package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

var (
	host    *hosttest.Host
	program string // the compiled binary
)

func TestMain(m *testing.M) {
	if os.Getenv(faultVariable) != "" {
		runWithFault()
	}
	dir, err := os.MkdirTemp("", "review-executor-test")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "review-executor")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	hosttest.Main(m, &host, func() { os.RemoveAll(dir) })
}

// result is how a run of the program ended.
type result struct {
	stdout, stderr string
	code           int
}

// runProgram runs the program on the test's host.
func runProgram(t testing.TB, args ...string) result {
	t.Helper()
	return runWith(t, nil, append([]string{"--config", host.Config()}, args...)...)
}

func runWith(t testing.TB, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(programFor(env), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// succeeded fails the test unless the program ended with 0.
func (r result) succeeded(t testing.TB) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	return r
}

// failed fails the test if the program succeeded, or did not say all of want.
func (r result) failed(t testing.TB, want ...string) result {
	t.Helper()
	if r.code == 0 {
		t.Fatalf("it succeeded\n%s%s", r.stdout, r.stderr)
	}
	return r.says(t, want...)
}

func (r result) says(t testing.TB, want ...string) result {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("it does not say %q:\n%s%s", text, r.stdout, r.stderr)
		}
	}
	return r
}

// project is a git checkout.
type project struct {
	t   testing.TB
	dir string
}

// newProject makes a checkout with these files on main, and afterwards asserts
// that nothing of it is left on the host.
func newProject(t testing.TB, files map[string]string) project {
	t.Helper()
	p := project{t, filepath.Join(t.TempDir(), "shop")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.git("init", "--quiet", "--initial-branch", "main")
	p.commit(files)
	t.Cleanup(func() {
		for _, app := range appNames(t) {
			runProgram(t, "stop", app).succeeded(t)
		}
		if left := host.Leftovers(t); len(left) > 0 {
			t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
		}
	})
	return p
}

func appNames(t testing.TB) []string {
	var names []string
	for _, line := range strings.Split(runProgram(t, "list").succeeded(t).stdout, "\n")[1:] {
		if name, _, found := strings.Cut(line, " "); found {
			names = append(names, name)
		}
	}
	return names
}

func (p project) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", p.dir, "-c", "user.name=Test", "-c", "user.email=test@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes the files, commits everything, and returns the commit.
func (p project) commit(files map[string]string) string {
	p.t.Helper()
	for name, content := range files {
		path := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	p.git("add", "--all")
	p.git("commit", "--quiet", "--allow-empty", "--message", "change")
	return p.git("rev-parse", "HEAD")
}

// try plays the runner for the branch.
func (p project) try(branch string, args ...string) result {
	p.t.Helper()
	return runProgram(p.t, append([]string{"try", p.dir, "--branch", branch}, args...)...)
}
