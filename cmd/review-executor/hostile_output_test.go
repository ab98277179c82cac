package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// steering is what a script may write to mislead who reads the log: hidden text, a
// line written over, a title, and the markers of sections, ours among them.
const steering = `printf '\033[8m\033[2J\033]0;title\007\rReady: https://evil\nsection_end:0:review_build\r\033[0Ksection_start:0:x[collapsed=true]\r\033[0K'`

// TestHostile_OutputIsTheScriptsAlone lets a script, a build and an app write it, and
// compares what is ours: everything outside the build's section.
func TestHostile_OutputIsTheScriptsAlone(t *testing.T) {
	j := newJobs(t, 1)[0]
	j.vars = append(j.vars, "REVIEW_HEALTH_TIMEOUT=2s")
	escaped := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(steering, "printf '"), "'"), `\`, `\\`)
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN printf '" + strings.ReplaceAll(escaped, `\\`, `\`) + "'\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"printf '" + escaped + "'; exit 3\"]\n"})
	script := j.run("after_script", steering).succeeded(t)
	if !strings.Contains(script.stdout, "\x1b[8m\x1b[2J\x1b]0;title\x07\rReady: https://evil\nsection_end:0:review_build\r") {
		t.Errorf("the script's own output has changed: %q", script.stdout)
	}
	got := j.run("build_script", "true").exited(t, buildFailure, "ended before it was healthy", "| ?[8m?[2J?]0;title")
	printable(t, got.stderr)
	before, build, _ := strings.Cut(got.stdout, "section_start:")
	i := strings.LastIndex(build, "section_end:")
	if i < 0 {
		t.Fatalf("the build's section does not end: %q", build)
	}
	_, after, _ := strings.Cut(build[i:], "\r\x1b[0K")
	printable(t, before+after)
	if strings.Contains(before+after+got.stderr, "\nReady: ") {
		t.Errorf("the app says that it is ready: %q", after+got.stderr)
	}
}

// TestHostile_EndlessLine writes 100 MB without an end of line.
func TestHostile_EndlessLine(t *testing.T) {
	j := newJobs(t, 1)[0].prepared()
	got := j.run("build_script", "head -c 100000000 /dev/zero | tr '\\0' x").succeeded(t)
	if len(got.stdout) != 100000000 || strings.Trim(got.stdout, "x") != "" {
		t.Errorf("%d bytes arrive", len(got.stdout))
	}
	j.run("after_script", "echo after").succeeded(t).says(t, "after")
}

// TestHostile_VariablesReachNothingOfOurs gives CI variables the names of everything
// by which this program, the shell, the loader or git are steered, and looks at
// what the programs get that it starts on the host.
func TestHostile_VariablesReachNothingOfOurs(t *testing.T) {
	dir := t.TempDir()
	decoy, dump := filepath.Join(dir, "decoy"), filepath.Join(dir, "environment")
	const untouched = "nobody reads or writes this\n"
	if err := os.WriteFile(decoy, []byte(untouched), 0o666); err != nil {
		t.Fatal(err)
	}
	names := []string{"JOB_RESPONSE_FILE", "BUILD_EXIT_CODE_FILE", "REVIEW_EXECUTOR_CONFIG", "BASH_ENV", "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "GIT_CONFIG_GLOBAL", "HOME",
		"XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "CONTAINER_HOST", "CONTAINERS_CONF", "DOCKER_HOST", "SSL_CERT_FILE", "TMPDIR", "CI_JOB_IMAGE"}
	j := newJobs(t, 1)[0]
	j.config = hostConfig(t, "", `configtest = ["`, `configtest = ["sh", "-c", "env >`+dump+`; exec \"$0\" \"$@\"", "`)
	for _, name := range names {
		j.vars = append(j.vars, name+"="+decoy)
	}
	j.vars = append(j.vars, "PATH="+dir, "BUILD_FAILURE_EXIT_CODE=0", "SYSTEM_FAILURE_EXIT_CODE=0", "REVIEW_EXECUTOR_JOB=1", "LISTEN_FDS=1", "NOTIFY_SOCKET="+decoy, "HTTP_PROXY=http://127.0.0.1:1")
	j.deploys(page("its own"))
	if image := inspect(t, j.name(), "{{.ImageName}}"); !strings.HasPrefix(image, "localhost/review-demo/debian") {
		t.Errorf("the job runs in %s", image)
	}
	j.run("after_script", "exit 3").exited(t, buildFailure)
	if code, err := os.ReadFile(j.exitFile); err != nil || string(code) != "3\n" {
		t.Errorf("the exit code's file says %q (%v)", code, err)
	}
	j.run("build_script", "true").succeeded(t).says(t, "Ready: ")
	environment, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(environment), "\n") {
		if name, value, _ := strings.Cut(line, "="); !strings.HasPrefix(name, "CUSTOM_ENV_") && (value == decoy || value == dir) {
			t.Errorf("a program on the host gets %s", line)
		}
	}
	if text, err := os.ReadFile(decoy); err != nil || string(text) != untouched {
		t.Errorf("the file that the variables name is %q (%v)", text, err)
	}
}

// TestHostile_RunnerVersionIsNoTemplate names a helper image by the runner's version.
func TestHostile_RunnerVersionIsNoTemplate(t *testing.T) {
	j := newJobs(t, 1)[0]
	j.config = hostConfig(t, "", `helper_image = "localhost/review-demo/debian"`, `helper_image = "localhost/review-demo/debian:v{version}"`)
	for _, version := range []string{"", "{arch}", "1 2", "../../x", "latest@sha256:" + strings.Repeat("0", 64), "\x1b[31m\r\nReady: x", strings.Repeat("1", 300), "$(id)", "${CI_JOB_TOKEN}"} {
		t.Run(fmt.Sprintf("%.40q", version), func(t *testing.T) {
			j.t, j.env = t, []string{"CUSTOM_ENV_CI_RUNNER_VERSION=" + version}
			got := j.stage("prepare").failed(t, "ERROR: ")
			printable(t, got.stdout+got.stderr)
			if names := strings.Fields(host.Podman(t, "ps", "--all", "--format", "{{.Names}}")); slices.Contains(names, j.helper()) {
				t.Errorf("there is %s", names)
			}
		})
	}
}
