// Package hosttest gives tests a review host of their own: a Podman service
// with its own store and an Apache on a free port, both real.
package hosttest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Host is a running review host. Domain is review.localhost, and user and
// password are demo.
type Host struct {
	Dir  string
	Port string
}

// Base images that every host has.
const (
	Busybox = "localhost/review-demo/busybox"
	Debian  = "localhost/review-demo/debian"
)

// Up starts a host. Call Down at the end.
func Up() (*Host, error) {
	cmd := exec.Command(script("host.sh"), "up")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	h := &Host{Dir: strings.TrimSpace(string(out))}
	port, err := os.ReadFile(filepath.Join(h.Dir, "port"))
	h.Port = strings.TrimSpace(string(port))
	return h, err
}

// Main runs a package's tests with one host for all of them, then after, and
// exits.
func Main(m *testing.M, host **Host, after func()) {
	h, err := Up()
	if err != nil {
		println("no review host could be started:", err.Error())
		after()
		os.Exit(1)
	}
	*host = h
	code := m.Run()
	if err := h.Down(); err != nil {
		println("the review host could not be removed:", err.Error())
		code = 1
	}
	after()
	os.Exit(code)
}

// Down removes the host and everything on it.
func (h *Host) Down() error {
	cmd := exec.Command(script("host.sh"), "down", h.Dir)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// Root is the repository's directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func script(name string) string { return filepath.Join(Root(), "scripts", name) }

// Config is the host's configuration file.
func (h *Host) Config() string { return filepath.Join(h.Dir, "config.toml") }

// Socket is the address of the host's Podman service.
func (h *Host) Socket() string { return "unix://" + h.Dir + "/podman.sock" }

// Podman runs the podman command on the host's store and returns its output.
func (h *Host) Podman(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, filepath.Join(h.Dir, "podman"), args...)
}

// Apache runs the apache2 command with the host's configuration.
func (h *Host) Apache(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, filepath.Join(h.Dir, "apache.sh"), args...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Answer is what Apache answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Get asks Apache for a path of a host name, with the password or without.
func (h *Host) Get(t testing.TB, host, path string, password bool) Answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+h.Port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h.Do(t, req, host, password)
}

// Do sends a request to Apache for a host name. Redirects are not followed.
func (h *Host) Do(t testing.TB, req *http.Request, host string, password bool) Answer {
	t.Helper()
	req.Host = host
	if password {
		req.SetBasicAuth("demo", "demo")
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}
}

// Leftovers lists what an app or a job has left on the host: objects with our
// labels, virtual hosts of apps, records, secrets and files.
func (h *Host) Leftovers(t testing.TB) []string {
	t.Helper()
	var left []string
	for _, list := range [][]string{
		{"ps", "--all", "--filter", "label=review-executor.role", "--format", "container {{.Names}}"},
		{"volume", "ls", "--format", "volume {{.Name}}"},
		{"network", "ls", "--filter", "label=review-executor.role", "--format", "network {{.Name}}"},
		{"images", "--all", "--filter", "readonly=false", "--format", "image {{.Repository}}:{{.Tag}} {{.ID}} {{.Labels}}"},
	} {
		if out := h.Podman(t, list...); out != "" {
			left = append(left, strings.Split(out, "\n")...)
		}
	}
	// What a failed build has left for the next is no leftover, but the cache.
	left = slices.DeleteFunc(left, func(line string) bool {
		return strings.HasPrefix(line, "image <none>:<none> ") && strings.Contains(line, "review-executor.project-id") && !strings.Contains(line, "review-executor.release")
	})
	for _, pattern := range []string{"vhosts/app-*", "vhosts/.*", "state/apps/*", "state/locks/*", "state/secrets/*", "state/sites/*", "state/stops/*", "state/attempts/*", "tmp/*"} {
		found, err := filepath.Glob(filepath.Join(h.Dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			// Podman 5 has a mount point for every user, and the front the key of its tickets. A failed
			// deploy is told of for three days.
			if !failedDeploy(name) && !strings.Contains(name, "/tmp/intermediate-mountpoint-") && !strings.HasSuffix(name, "/vhosts/.ticket-key") {
				left = append(left, name)
			}
		}
	}
	return left
}

func failedDeploy(file string) bool {
	data, err := os.ReadFile(file)
	return err == nil && strings.Contains(file, "/state/attempts/") && strings.Contains(string(data), `"failed":true`)
}
