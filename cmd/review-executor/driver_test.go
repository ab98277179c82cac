package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// The exit codes that the driver's tests ask for: unusual, to see that they
// are read and not guessed.
const (
	buildFailure  = 51
	systemFailure = 52
)

const busybox = "localhost/review-demo/busybox"

// idleService is for jobs that shall have one, and with it a network.
var idleService = object{"services": []object{{"name": busybox, "command": []string{"sleep", "1000"}}}}

var lastJob atomic.Int64

// object is JSON's.
type object map[string]any

// driverJob is a CI job whose stages the test calls itself, as gitlab-runner does.
type driverJob struct {
	t        *testing.T
	id       int64
	project  int64
	dir      string // the runner's private one, custom-executorNNN
	config   string // of the program
	image    string
	response object   // fields of the job response, over the others
	vars     []string // KEY=VALUE, GitLab's own, then the job's author's
	public   []string // as vars, and no secret
	env      []string // of a stage, over what the runner gives
	exitFile string
	stdout   io.Writer // of stages; nil: kept for the result
	after    [][]string
}

// newDriverJob is a job of group/shop without an environment. When the test ends it
// is cleaned up, and nothing may be left on the host.
func newDriverJob(t *testing.T) *driverJob {
	t.Helper()
	j := makeJob(t)
	t.Cleanup(func() {
		j.cleaned()
		for _, args := range j.after {
			host.Podman(t, args...)
		}
		nothingLeft(t)
	})
	return j
}

// another is one more job of the same test, of the same project.
func (j *driverJob) another() *driverJob {
	j.t.Helper()
	other := makeJob(j.t)
	other.config, other.image, other.response = j.config, j.image, j.response
	j.t.Cleanup(func() { other.cleaned() })
	return other
}

func makeJob(t *testing.T) *driverJob {
	j := &driverJob{t: t, id: 1000 + lastJob.Add(1), project: 7, dir: t.TempDir(), config: host.Config(), vars: []string{"CI_PROJECT_ID=7"}}
	j.exitFile = filepath.Join(j.dir, "exit-code")
	return j
}

// cleaned cleans up as the runner does at the end, whatever the test has set.
func (j *driverJob) cleaned() {
	j.t.Helper()
	j.config, j.env, j.stdout = host.Config(), nil, nil
	j.stage("cleanup").succeeded(j.t)
}

// newImage builds an image that goes when the job is cleaned up.
func (j *driverJob) newImage(containerfile string) string {
	j.t.Helper()
	name := fmt.Sprintf("localhost/test/image-%d:1", lastJob.Add(1))
	dir := j.t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte(containerfile), 0o600); err != nil {
		j.t.Fatal(err)
	}
	host.Podman(j.t, "build", "--quiet", "--network", "none", "--format", "docker", "--tag", name, "--file", file, dir)
	j.after = append(j.after, []string{"rmi", "--force", name}, []string{"image", "prune", "--force"})
	return name
}

// nothingLeft fails the test unless the host is as before.
func nothingLeft(t *testing.T) {
	t.Helper()
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
	}
}

// configWith is the host's configuration with old texts replaced by new ones.
func configWith(t testing.TB, oldnew ...string) string {
	t.Helper()
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(oldnew...).Replace(string(config))
	if changed == string(config) {
		t.Fatalf("the configuration has none of %q", oldnew)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (j *driverJob) responseFile() string { return filepath.Join(j.dir, "response") }

// environ is what the runner adds to its own environment.
func (j *driverJob) environ() []string {
	j.t.Helper()
	var vars []object
	env := []string{
		"TMPDIR=" + j.dir, "BUILD_FAILURE_EXIT_CODE=" + strconv.Itoa(buildFailure), "SYSTEM_FAILURE_EXIT_CODE=" + strconv.Itoa(systemFailure),
		"BUILD_EXIT_CODE_FILE=" + j.exitFile, "JOB_RESPONSE_FILE=" + j.responseFile(), "CUSTOM_ENV_CI_PROJECT_DIR=/builds/group/shop",
	}
	for i, entry := range append(append([]string{}, j.vars...), j.public...) {
		key, value, _ := strings.Cut(entry, "=")
		vars = append(vars, object{"key": key, "value": value, "public": i >= len(j.vars)})
		env = append(env, "CUSTOM_ENV_"+entry)
	}
	response := object{
		"id": j.id, "variables": vars, "image": object{"name": j.image},
		"job_info": object{"name": "job", "project_id": j.project, "project_full_path": "group/shop"},
		"git_info": object{"ref": "feature/login", "sha": strings.Repeat("3f2c1a9f", 5)},
		"steps":    []object{{"name": "script", "script": []string{"true"}}},
	}
	for key, value := range j.response {
		response[key] = value
	}
	text, err := json.Marshal(response)
	if err != nil {
		j.t.Fatal(err)
	}
	next := j.responseFile() + ".next" // another stage may read it just now
	if err = os.WriteFile(next, text, 0o600); err == nil {
		err = os.Rename(next, j.responseFile())
	}
	if err != nil {
		j.t.Fatal(err)
	}
	return append(env, j.env...)
}

// stage runs one stage of the driver.
func (j *driverJob) stage(args ...string) result {
	j.t.Helper()
	return j.start(args...).wait()
}

func (j *driverJob) prepared() *driverJob {
	j.t.Helper()
	j.stage("prepare").succeeded(j.t)
	return j
}

// run runs a sub-stage.
func (j *driverJob) run(stage, script string) result {
	j.t.Helper()
	return j.startRun(stage, script).wait()
}

// startRun starts a sub-stage, whose script is made as the runner makes them.
func (j *driverJob) startRun(stage, script string) *stageProcess {
	j.t.Helper()
	return j.start("run", j.script(script), stage)
}

func (j *driverJob) script(script string) (file string) {
	j.t.Helper()
	file = filepath.Join(j.dir, "script.")
	text := "#!/usr/bin/env bash\n\ntrap exit 1 TERM\n\nset -e\n: | eval '" + strings.ReplaceAll(script, "'", `'\''`) + "'\nexit 0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		j.t.Fatal(err)
	}
	return file
}

// exitCode is what the runner finds in BUILD_EXIT_CODE_FILE; "": no file.
func (j *driverJob) exitCode() string {
	j.t.Helper()
	text, err := os.ReadFile(j.exitFile)
	if err != nil && !os.IsNotExist(err) {
		j.t.Fatal(err)
	}
	return string(text)
}

// exited fails the test unless the program ended with it and said all of want.
func (r result) exited(t testing.TB, code int, want ...string) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	return r.says(t, want...)
}
