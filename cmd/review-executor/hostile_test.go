package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTry_HostsFilesAreNoContainerfile puts a file of the same name where the
// Podman service runs.
func TestTry_HostsFilesAreNoContainerfile(t *testing.T) {
	decoy := filepath.Join(host.Dir, "Containerfile")
	if err := os.WriteFile(decoy, []byte("FROM localhost/review-demo/busybox\nRUN echo the file of the host; false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(decoy) })
	p := newProject(t, page("the project's own"))
	if got := p.try("main").succeeded(t); strings.Contains(got.stdout, "the file of the host") {
		t.Errorf("it built the host's file:\n%s", got.stdout)
	}
}

func TestTry_PreprocessedContainerfileIsRefused(t *testing.T) {
	p := newProject(t, page("preprocessed"))
	p.commit(map[string]string{"Containerfile.in": "FROM localhost/review-demo/busybox\n#include \"/etc/hostname\"\n"})
	p.try("main", "--variable", "REVIEW_CONTAINERFILE=Containerfile.in").failed(t, "REVIEW_CONTAINERFILE must be a file that does not end in .in")
}

// TestTry_BuildCannotReachTheHostsLoopback tries for Apache, and could as well
// have tried for another app behind it.
func TestTry_BuildCannotReachTheHostsLoopback(t *testing.T) {
	files := page("curious")
	files["Containerfile"] += "RUN if nc -w 2 127.0.0.1 " + host.Port + " </dev/null; then echo reached the host; fi\n"
	p := newProject(t, files)
	got := p.try("main").succeeded(t)
	if strings.Contains(strings.ReplaceAll(got.stdout, "echo reached", ""), "reached the host") {
		t.Errorf("a build talks to the host:\n%s", got.stdout)
	}
}

// TestTry_KilledBetweenRecordAndFront kills a deploy when it has written its
// record and Apache still sends requests to the version before. The next
// deploy must not take that version from under it.
func TestTry_KilledBetweenRecordAndFront(t *testing.T) {
	p := newProject(t, page("the first"))
	p.try("main").succeeded(t)
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(config), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "configtest") {
			lines[i] = `configtest = ["sh", "-c", "kill -9 $PPID"]`
		}
	}
	killing := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(killing, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	p.commit(page("the second"))
	runWith(t, nil, "--config", killing, "try", p.dir).failed(t)
	if got := host.Get(t, "main.review.localhost", "/", true); !strings.Contains(got.Body, "the first") {
		t.Fatalf("after the kill it serves %d %q", got.Status, got.Body)
	}

	p.commit(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN false\n"})
	p.try("main").failed(t, "does not build", "is still serving")
	stillServing(t, "main", "the second", 2)
}

func TestTry_ParallelDeploysLeaveEachOtherAlone(t *testing.T) {
	p := newProject(t, page("parallel"))
	branches := []string{"one", "two", "three", "four"}
	for _, branch := range branches {
		p.git("branch", branch)
	}
	for range 2 { // a first deploy and a redeploy
		var group sync.WaitGroup
		for _, branch := range branches {
			group.Go(func() {
				got := p.try(branch)
				if got.code != 0 || strings.Contains(got.stdout+got.stderr, "WARNING") {
					t.Errorf("%s: exit code %d\n%s%s", branch, got.code, got.stdout, got.stderr)
				}
			})
		}
		group.Wait()
	}
	for _, branch := range branches {
		if got := host.Get(t, branch+".review.localhost", "/", true); got.Status != 200 {
			t.Errorf("%s answers %d", branch, got.Status)
		}
	}
}
