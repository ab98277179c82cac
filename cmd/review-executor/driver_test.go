package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
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

var lastJob atomic.Int64

// driverJob is a CI job whose stages the test calls itself, as gitlab-runner does.
type driverJob struct {
	t        *testing.T
	id       int64
	dir      string
	image    string
	vars     []string // KEY=VALUE, GitLab's own, then the job's author's
	env      []string // of a stage, over what the runner gives
	exitFile string
}

// newDriverJob is a job of group/shop without an environment. When the test ends it
// is cleaned up, and nothing may be left on the host.
func newDriverJob(t *testing.T) *driverJob {
	t.Helper()
	j := &driverJob{t: t, id: 1000 + lastJob.Add(1), dir: t.TempDir(), vars: []string{"CI_PROJECT_ID=7"}}
	j.exitFile = filepath.Join(j.dir, "exit-code")
	t.Cleanup(func() {
		j.stage("cleanup").succeeded(t)
		nothingLeft(t)
	})
	return j
}

// nothingLeft fails the test unless the host is as before.
func nothingLeft(t *testing.T) {
	t.Helper()
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
	}
}

// environ is what the runner adds to its own environment.
func (j *driverJob) environ() []string {
	j.t.Helper()
	type object map[string]any
	var vars []object
	env := []string{
		"BUILD_FAILURE_EXIT_CODE=" + strconv.Itoa(buildFailure), "SYSTEM_FAILURE_EXIT_CODE=" + strconv.Itoa(systemFailure),
		"BUILD_EXIT_CODE_FILE=" + j.exitFile, "JOB_RESPONSE_FILE=" + filepath.Join(j.dir, "response"), "CUSTOM_ENV_CI_PROJECT_DIR=/builds/group/shop",
	}
	for _, entry := range j.vars {
		key, value, _ := strings.Cut(entry, "=")
		vars = append(vars, object{"key": key, "value": value})
		env = append(env, "CUSTOM_ENV_"+entry)
	}
	response, err := json.Marshal(object{
		"id": j.id, "variables": vars, "image": object{"name": j.image},
		"job_info": object{"name": "job", "project_id": 7, "project_full_path": "group/shop"},
		"git_info": object{"ref": "feature/login", "sha": strings.Repeat("3f2c1a9f", 5)},
		"steps":    []object{{"name": "script", "script": []string{"true"}}},
	})
	if err != nil {
		j.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.dir, "response"), response, 0o600); err != nil {
		j.t.Fatal(err)
	}
	return append(env, j.env...)
}

// stage runs one stage of the driver.
func (j *driverJob) stage(args ...string) result {
	j.t.Helper()
	return runWith(j.t, j.environ(), append([]string{"--config", host.Config()}, args...)...)
}

func (j *driverJob) prepared() *driverJob {
	j.t.Helper()
	j.stage("prepare").succeeded(j.t)
	return j
}

// run runs a sub-stage, whose script is made as the runner makes them.
func (j *driverJob) run(stage, script string) result {
	j.t.Helper()
	file := filepath.Join(j.dir, "script.")
	text := "#!/usr/bin/env bash\n\ntrap exit 1 TERM\n\nset -e\n: | eval '" + strings.ReplaceAll(script, "'", `'\''`) + "'\nexit 0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		j.t.Fatal(err)
	}
	return j.stage("run", file, stage)
}

// exited fails the test unless the program ended with it and said all of want.
func (r result) exited(t testing.TB, code int, want ...string) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	return r.says(t, want...)
}

func TestDriver_ConfigAnswersWithJSONAlone(t *testing.T) {
	j := newDriverJob(t)
	got := j.stage("config").succeeded(t)
	var answer struct {
		BuildsDir string            `json:"builds_dir"`
		JobEnv    map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || got.stderr != "" {
		t.Fatalf("%v\nstdout %s\nstderr %s", err, got.stdout, got.stderr)
	}
	if answer.BuildsDir != "/builds" || answer.JobEnv["REVIEW_EXECUTOR_JOB"] != strconv.FormatInt(j.id, 10) {
		t.Errorf("%+v", answer)
	}
	for name, env := range map[string][]string{
		"no job response":      {"JOB_RESPONSE_FILE="},
		"missing job response": {"JOB_RESPONSE_FILE=/no/such/file"},
		"another file":         {"JOB_RESPONSE_FILE=" + host.Config()},
	} {
		j.env = env
		if got := j.stage("config").exited(t, systemFailure, "the job response cannot be used"); got.stdout != "" {
			t.Errorf("%s: stdout is %q", name, got.stdout)
		}
	}
	j.env = []string{"JOB_RESPONSE_FILE=", "SYSTEM_FAILURE_EXIT_CODE=0"} // which would mean success
	if got := j.stage("config").exited(t, 1); got.stdout != "" {
		t.Errorf("stdout is %q", got.stdout)
	}
}

func TestDriver_ScriptsExitCodeReachesTheRunner(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"build_script", "get_sources"} {
		for _, code := range []int{0, 1, 2, 125, 127, 137, 255} {
			want, file := buildFailure, strconv.Itoa(code)
			if code == 0 {
				want, file = 0, ""
			}
			got := j.run(stage, fmt.Sprintf("echo out; echo err >&2; exit %d", code)).exited(t, want)
			if got.stdout != "out\n" || got.stderr != "err\n" {
				t.Errorf("code %d of %s: stdout %q, stderr %q", code, stage, got.stdout, got.stderr)
			}
			if written, _ := os.ReadFile(j.exitFile); strings.TrimSuffix(string(written), "\n") != file {
				t.Errorf("code %d of %s: the file says %q", code, stage, written)
			}
		}
	}
	j.run("build_script", "no-such-command").exited(t, buildFailure, "no-such-command")
	j.env = []string{"BUILD_EXIT_CODE_FILE="} // as before 17.9
	j.run("build_script", "exit 3").exited(t, buildFailure)
	j.run("build_script", "true").succeeded(t)
}

func TestDriver_TellsTheJobsFaultFromTheHosts(t *testing.T) {
	j := newDriverJob(t)
	j.image = "localhost/no/such/image"
	j.stage("prepare").exited(t, buildFailure, "ERROR: image localhost/no/such/image is not on this host", `"image:"`)
	j.run("build_script", "true").exited(t, systemFailure, fmt.Sprintf("no container with name or ID \"review-job-%d\"", j.id))

	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, bytes.Replace(config, []byte("podman.sock"), []byte("no.sock"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"prepare"}, {"run", host.Config(), "build_script"}, {"cleanup"}} {
		runWith(t, j.environ(), append([]string{"--config", file}, args...)...).exited(t, systemFailure, "ERROR: Podman does not answer")
	}
}

func TestDriver_OutputPassesUnchanged(t *testing.T) {
	j := newDriverJob(t).prepared()
	var bytesOfAllKinds, script, want strings.Builder
	for i := range 256 {
		fmt.Fprintf(&bytesOfAllKinds, `\%03o`, i)
		want.WriteByte(byte(i))
	}
	fmt.Fprintf(&script, "printf '%s'; ", &bytesOfAllKinds)
	script.WriteString("head -c 204800 /dev/zero | tr '\\0' x; echo; seq 2700000; printf 'no end of line'; printf 'apart\\r\\n' >&2")
	want.WriteString(strings.Repeat("x", 204800) + "\n")
	for i := range 2700000 {
		want.WriteString(strconv.Itoa(i+1) + "\n")
	}
	want.WriteString("no end of line")

	got := j.run("build_script", script.String()).succeeded(t)
	if sha256.Sum256([]byte(got.stdout)) != sha256.Sum256([]byte(want.String())) {
		t.Errorf("stdout has %d bytes and begins %.300q, want %d", len(got.stdout), got.stdout, want.Len())
	}
	if got.stderr != "apart\r\n" {
		t.Errorf("stderr is %.300q", got.stderr)
	}
}

func TestDriver_ScriptsCommandsFindNoStdin(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"prepare_script", "build_script"} {
		got := j.run(stage, "cat; read line || echo nothing to read; sort\necho behind").succeeded(t)
		if got.stdout != "nothing to read\nbehind\n" {
			t.Errorf("%s: %q", stage, got.stdout)
		}
	}
}

func TestDriver_PrepareAgainStartsAfresh(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("get_sources", "echo first >/builds/file").succeeded(t)
	j.prepared() // after one that was killed
	j.run("build_script", "test ! -e /builds/file").succeeded(t)
	j.stage("cleanup").succeeded(t)
	j.prepared() // as the runner tries it again
	j.run("build_script", "true").succeeded(t)
}

func TestDriver_CleanupLeavesNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, response := range map[string]string{"with the job response": "", "with an empty one": empty, "with none": "/no/such/file"} {
		t.Run(name, func(t *testing.T) {
			j := newDriverJob(t)
			clean := func() {
				t.Helper()
				j.env = []string{"REVIEW_EXECUTOR_JOB=" + strconv.FormatInt(j.id, 10)} // job_env
				if response != "" {
					j.env = append(j.env, "JOB_RESPONSE_FILE="+response)
				}
				j.stage("cleanup").succeeded(t)
				j.env = nil
				nothingLeft(t)
			}
			clean() // before prepare
			j.prepared()
			clean()
			clean()
		})
	}
	j := newDriverJob(t).prepared()
	j.env = []string{"JOB_RESPONSE_FILE="}
	j.stage("cleanup").succeeded(t).says(t, "the job is not known, so nothing of it is removed")
	j.env = nil
	j.run("build_script", "true").succeeded(t)
}
