// Package acceptance gives tests a whole machine: Debian 13 with systemd as its
// first process, Apache, and rootless Podman of a user gitlab-runner. Nothing of
// review-executor is installed on it; see scripts/acceptance.sh.
package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Host is a running machine. Shared is a directory of this machine that is /shared
// on it.
type Host struct {
	Dir    string
	Shared string
}

// Runner is the user whose jobs run on the host.
const Runner = "gitlab-runner"

// Up boots a host. Call Down at the end.
func Up() (*Host, error) {
	cmd := exec.Command(script(), "up")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	dir := strings.TrimSpace(string(out))
	return &Host{Dir: dir, Shared: filepath.Join(dir, "shared")}, err
}

// Start boots a host for one test, and skips the test where that cannot be.
func Start(t testing.TB) *Host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a machine in a container needs root")
	}
	h, err := Up()
	if err != nil {
		t.Fatal("the acceptance host did not boot: ", err)
	}
	t.Cleanup(func() {
		if err := h.Down(); err != nil {
			t.Error("the acceptance host could not be removed: ", err)
		}
	})
	return h
}

// Down removes the host and everything on it.
func (h *Host) Down() error { return exec.Command(script(), "down", h.Dir).Run() }

// Reboot restarts the host and returns when it has booted.
func (h *Host) Reboot(t testing.TB) {
	t.Helper()
	if err := h.Restart(); err != nil {
		t.Fatal(err)
	}
}

// Restart is Reboot for who runs no test.
func (h *Host) Restart() error {
	if out, err := exec.Command(script(), "reboot", h.Dir).CombinedOutput(); err != nil {
		return fmt.Errorf("reboot: %w\n%s", err, out)
	}
	return nil
}

// Result is what a command on the host did.
type Result struct {
	Stdout, Stderr string
	ExitCode       int
}

// Try runs a shell script on the host as root.
func (h *Host) Try(shell string) Result { return h.exec("sh", "-c", shell) }

// TryAs runs a shell script on the host in the user's login shell, as over ssh.
func (h *Host) TryAs(user, shell string) Result {
	return h.exec("su", "--login", user, "--command", "export XDG_RUNTIME_DIR=/run/user/$(id -u); "+shell)
}

// Run is Try for what must succeed. It returns what was written to stdout.
func (h *Host) Run(t testing.TB, shell string) string {
	t.Helper()
	return h.Try(shell).succeeded(t, shell)
}

// RunAs is TryAs for what must succeed. It returns what was written to stdout.
func (h *Host) RunAs(t testing.TB, user, shell string) string {
	t.Helper()
	return h.TryAs(user, shell).succeeded(t, shell)
}

func (r Result) succeeded(t testing.TB, shell string) string {
	t.Helper()
	if r.ExitCode != 0 {
		t.Fatalf("%s\nexit code %d\n%s%s", shell, r.ExitCode, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

func (h *Host) exec(args ...string) Result {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(script(), append([]string{"run", h.Dir}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	if err != nil {
		r.ExitCode = 1
		if exit, is := err.(*exec.ExitError); is { //nolint:errorlint // Run returns it bare
			r.ExitCode = exit.ExitCode()
		} else {
			r.Stderr += fmt.Sprintln(err)
		}
	}
	return r
}

// Program builds review-executor and installs it as /usr/bin/review-executor.
func (h *Host) Program(t testing.TB) {
	t.Helper()
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(h.Shared, "review-executor"), "./cmd/review-executor")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	h.Run(t, "install -m 755 /shared/review-executor /usr/bin/review-executor")
}

// Write writes a file on the host, with the mode's permissions and owner:group.
func (h *Host) Write(t testing.TB, path, content, owner string, mode os.FileMode) {
	t.Helper()
	file := filepath.Join(h.Shared, "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	user, group, _ := strings.Cut(owner, ":")
	h.Run(t, fmt.Sprintf("install -D -o '%s' -g '%s' -m %o /shared/file '%s' && rm /shared/file", user, group, mode, path))
}

// Root is the repository's directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func script() string { return filepath.Join(Root(), "scripts", "acceptance.sh") }
