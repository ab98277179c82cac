package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTry_FailedDeployKeepsTheVersionBefore is every way in which a project can
// fail to deploy. Each says what happened, is the job's fault, leaves nothing
// behind, and the version before goes on serving.
func TestTry_FailedDeployKeepsTheVersionBefore(t *testing.T) {
	for name, c := range map[string]struct {
		containerfile string // "": none at all
		variables     []string
		want          []string
	}{
		"does not build": {
			"FROM localhost/review-demo/busybox\nRUN echo compiling; exit 7\n", nil,
			[]string{"compiling", "ERROR: Containerfile does not build", "exit status 7"},
		},
		"is no Containerfile": {"FROM localhost/review-demo/busybox\nCOMPILE all\n", nil, []string{"ERROR: the Containerfile cannot be built", "line 2: COMPILE all"}},
		"base image missing":  {"FROM localhost/missing\n", nil, []string{"ERROR: image localhost/missing is not on this host"}},
		"missing":             {"", nil, []string{"ERROR: there is no Containerfile and no Dockerfile", "REVIEW_CONTAINERFILE"}},
		"stage missing": {
			"FROM localhost/review-demo/busybox\n", []string{"REVIEW_BUILD_TARGET=prod"},
			[]string{"ERROR: Containerfile does not build", "prod"},
		},
		"exits at once": {
			"FROM localhost/review-demo/busybox\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"echo DATABASE_URL is not set; exit 3\"]\n", nil,
			[]string{`ERROR: review app "main" ended before it was healthy`, "exited with code 3", "| DATABASE_URL is not set", "REVIEW_ENV_<NAME>"},
		},
		"nobody listens": {
			"FROM localhost/review-demo/busybox\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"echo waiting for godot; sleep 1000\"]\n", []string{"REVIEW_HEALTH_TIMEOUT=2s"},
			[]string{`ERROR: review app "main" was not healthy within 2s`, "the last answer: GET /: ", "| waiting for godot", "0.0.0.0"},
		},
		"answers 500": {
			"FROM localhost/review-demo/busybox\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"while :; do printf 'HTTP/1.0 500 Oops\\\\r\\\\n\\\\r\\\\n' | nc -l -p 80; done\"]\n", []string{"REVIEW_HEALTH_TIMEOUT=2s"},
			[]string{"the last answer: GET / answered 500", "REVIEW_HEALTH_PATH"},
		},
		"no port":       {"FROM localhost/review-demo/busybox\nCMD [\"sleep\", \"1000\"]\n", nil, []string{"ERROR: the image exposes no port", "REVIEW_PORT"}},
		"several ports": {"FROM localhost/review-demo/busybox\nEXPOSE 80 443\n", nil, []string{"ERROR: the image exposes several ports: 80, 443"}},
		"no command":    {"FROM localhost/review-demo/busybox\nEXPOSE 80\nCMD [\"/no/such/program\"]\n", nil, []string{"cannot start its command", "/no/such/program"}},
		"no such user": {
			"FROM localhost/review-demo/busybox\nEXPOSE 80\nUSER nosuch\nCMD [\"sleep\", \"1000\"]\n", nil,
			[]string{"cannot start its command", "nosuch"},
		},
		"no command at all": {"FROM localhost/review-demo/busybox\nEXPOSE 80\n", nil, []string{"cannot start its command"}},
		"bad settings": {
			"FROM localhost/review-demo/busybox\n", []string{"REVIEW_PORT=http", "REVIEW_CONTEXT=../..", "REVIEW_ENV_PORT=1"},
			[]string{"ERROR: the job's settings cannot be used", "REVIEW_PORT must be a port", "REVIEW_CONTEXT must be a path inside the project", "REVIEW_ENV_PORT cannot set PORT"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t, page("the version before"))
			p.try("main").succeeded(t)
			if c.containerfile == "" {
				p.git("rm", "--quiet", "Containerfile")
				p.commit(nil)
			} else {
				p.commit(map[string]string{"Containerfile": c.containerfile})
			}
			var args []string
			for _, v := range c.variables {
				args = append(args, "--variable", v)
			}
			got := p.try("main", args...).failed(t, c.want...)
			if strings.Contains(got.stderr, "system failure") {
				t.Errorf("it counts as the host's fault:\n%s", got.stderr)
			}
			if !strings.Contains(got.stdout, "is still serving") && !strings.Contains(got.stdout, "nothing was changed") {
				t.Errorf("it does not say what state remains:\n%s", got.stdout)
			}
			stillServing(t, "main", "the version before", 1)
		})
	}
}

// TestTry_NearlyFullHostRefuses what would take its last disk, and the app goes on.
func TestTry_NearlyFullHostRefuses(t *testing.T) {
	p := newProject(t, page("the version before"))
	p.try("main").succeeded(t)
	p.commit(page("the next"))
	config := configWith(t, "[jobs]", "[limits]\ndisk_reserve = \"900TiB\"\n\n[jobs]")
	got := runProgram(t, "--config", config, "try", p.dir, "--branch", "main")
	got.failed(t, "ERROR: the host's disk has ", "900TiB of it stay free", "main of local/shop, ", "the version of ", "is still serving", "limits.disk_reserve")
	stillServing(t, "main", "the version before", 1)
}

// stillServing asserts that the app serves the text and is one container and,
// with the release before, so many images.
func stillServing(t *testing.T, app, text string, images int) {
	t.Helper()
	if got := host.Get(t, app+".review.localhost", "/", true); got.Status != 200 || !strings.Contains(got.Body, text) {
		t.Errorf("it serves %d %q, want %q", got.Status, got.Body, text)
	}
	count := func(want int, list ...string) {
		t.Helper()
		if got := strings.Fields(host.Podman(t, list...)); len(got) != want {
			t.Errorf("podman %s: %v, want %d", list[0], got, want)
		}
	}
	count(1, "ps", "--all", "--filter", "label=review-executor.role", "--format", "{{.Names}}")
	count(images, "images", "--filter", "label=review-executor.app", "--format", "{{.Repository}}:{{.Tag}}")
}

func TestTry_LinkedContainerfileIsRefused(t *testing.T) {
	for name, files := range map[string][2]string{ // the link and its target
		"the file":        {"Containerfile", "/etc/shadow"},
		"its directory":   {"docker", "/etc"},
		"the ignore file": {".containerignore", "/dev/zero"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t, page("linked"))
			link := filepath.Join(p.dir, files[0])
			os.Remove(link)
			if err := os.Symlink(files[1], link); err != nil {
				t.Fatal(err)
			}
			p.commit(nil)
			var args []string
			if name == "its directory" {
				args = []string{"--variable", "REVIEW_CONTAINERFILE=docker/hostname"}
			}
			p.try("main", args...).failed(t, files[0]+" is a symbolic link", "the app was not deployed before")
		})
	}
}

func TestTry_ApacheBrokenByOthersIsToldApart(t *testing.T) {
	p := newProject(t, page("the version before"))
	p.try("main").succeeded(t)
	foreign := filepath.Join(host.Dir, "vhosts", "somebody-elses.conf")
	if err := os.WriteFile(foreign, []byte("Broken yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(foreign) })

	p.commit(page("another"))
	got := p.try("main").failed(t, "Apache refuses its configuration, and not because of this app", "Invalid command 'Broken'", "not your branch")
	if !strings.Contains(got.stderr, "system failure") {
		t.Errorf("it counts as the job's fault:\n%s", got.stderr)
	}
	stillServing(t, "main", "the version before", 1)
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	p.try("main").succeeded(t)
	stillServing(t, "main", "another", 2)
}

func TestTry_PodmanUnreachable(t *testing.T) {
	p := newProject(t, page("unreachable"))
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(config), "podman.sock", "no.sock", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	got := runWith(t, nil, "--config", file, "try", p.dir).failed(t, "ERROR: Podman does not answer at unix://", "no such file or directory", "podman.socket")
	if !strings.Contains(got.stderr, "system failure") {
		t.Errorf("it counts as the job's fault:\n%s", got.stderr)
	}
	if n := strings.Count(got.stdout, "trying again"); n != 2 {
		t.Errorf("prepare was tried again %d times, want 2", n)
	}
}

// TestTry_FullDisk fills the file system of the records.
func TestTry_FullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	p := newProject(t, page("the version before"))
	small := t.TempDir()
	mount(t, small)
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(config), host.Dir+"/state", small, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	runWith(t, nil, "--config", file, "try", p.dir).succeeded(t)
	t.Cleanup(func() { runWith(t, nil, "--config", file, "stop", "main").succeeded(t) })

	p.commit(page("another"))
	fill(t, filepath.Join(small, "filler"))
	got := runWith(t, nil, "--config", file, "try", p.dir).failed(t, "write secrets", "no space left on device", "is still serving")
	if !strings.Contains(got.stderr, "system failure") {
		t.Errorf("it counts as the job's fault:\n%s", got.stderr)
	}
	stillServing(t, "main", "the version before", 1)
}
