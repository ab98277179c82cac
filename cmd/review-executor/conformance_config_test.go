package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// configAnswer is what the runner reads.
type configAnswer struct {
	Driver    struct{ Name, Version string }
	BuildsDir string            `json:"builds_dir"`
	CacheDir  string            `json:"cache_dir"`
	Shared    *bool             `json:"builds_dir_is_shared"`
	JobEnv    map[string]string `json:"job_env"`
	Shell     string
}

func (j *driverJob) configured(args ...string) configAnswer {
	j.t.Helper()
	var answer configAnswer
	decoder := json.NewDecoder(strings.NewReader(j.stage(append([]string{"config"}, args...)...).succeeded(j.t).stdout))
	if err := decoder.Decode(&answer); err != nil || decoder.More() {
		j.t.Fatalf("it is not one JSON value: %v", err)
	}
	return answer
}

func TestConformance_ConfigAnswersWithJSONAlone(t *testing.T) {
	j := newDriverJob(t)
	if got := j.stage("config").succeeded(t); !json.Valid([]byte(got.stdout)) || got.stderr != "" {
		t.Errorf("stdout %s\nstderr %s", got.stdout, got.stderr)
	}
	j.configured("--verbose")
	j.vars = append(j.vars, "CI_DEBUG_TRACE=true")
	if answer := j.configured(); answer.Driver.Name != "review-executor" || answer.Driver.Version == "" {
		t.Errorf("%+v", answer)
	}
}

func TestConformance_ConfigNamesAbsoluteDirectoriesOfTheJobAlone(t *testing.T) {
	answer := newDriverJob(t).configured()
	if !filepath.IsAbs(answer.BuildsDir) || !filepath.IsAbs(answer.CacheDir) || answer.Shared == nil || *answer.Shared {
		t.Errorf("%+v", answer)
	}
}

func TestConformance_ConfigTellsLaterStagesTheJob(t *testing.T) {
	j := newDriverJob(t)
	if got := j.configured().JobEnv["REVIEW_EXECUTOR_JOB"]; got != strconv.FormatInt(j.id, 10) {
		t.Errorf("job_env names job %q", got)
	}
}

func TestConformance_ConfigWorksUnderAnyEnvironment(t *testing.T) {
	j := newDriverJob(t)
	want := j.configured()
	for name, env := range map[string][]string{
		"none":    {"JOB_RESPONSE_FILE=" + j.responseFile()},
		"hostile": append(j.environ(), "HOME=/no/such/home", "PATH=", "TMPDIR=/no/such/dir", "LANG=ja_JP.SJIS", "CUSTOM_ENV_CI_PROJECT_DIR=", "CUSTOM_ENV_CI_JOB_ID=666", "DOCKER_HOST=tcp://no.invalid", "CONTAINER_HOST=tcp://no.invalid"),
	} {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(program, "--config", host.Config(), "config")
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, "/", &stdout, &stderr
		var answer configAnswer
		if err := cmd.Run(); err != nil || json.Unmarshal(stdout.Bytes(), &answer) != nil || stderr.Len() > 0 {
			t.Errorf("environment %s: %v\n%s\n%s", name, err, stdout.String(), stderr.String())
		}
		if answer.BuildsDir != want.BuildsDir || answer.CacheDir != want.CacheDir || answer.JobEnv["REVIEW_EXECUTOR_JOB"] != want.JobEnv["REVIEW_EXECUTOR_JOB"] {
			t.Errorf("environment %s: %+v, want %+v", name, answer, want)
		}
	}
}

func TestConformance_ConfigRefusesAnInvalidResponse(t *testing.T) {
	j := newDriverJob(t)
	file := filepath.Join(t.TempDir(), "response")
	for name, response := range map[string]string{
		"empty":         "",
		"cut off":       `{"id": 4711, "job_info": {`,
		"no object":     `[4711]`,
		"no id":         `{"job_info": {"project_id": 7, "project_full_path": "group/shop"}, "git_info": {"ref": "main", "sha": "` + strings.Repeat("a", 40) + `"}}`,
		"negative id":   `{"id": -1, "job_info": {"project_id": 7, "project_full_path": "group/shop"}, "git_info": {"ref": "main", "sha": "` + strings.Repeat("a", 40) + `"}}`,
		"path upwards":  `{"id": 1, "job_info": {"project_id": 7, "project_full_path": "../../etc"}, "git_info": {"ref": "main", "sha": "` + strings.Repeat("a", 40) + `"}}`,
		"no commit":     `{"id": 1, "job_info": {"project_id": 7, "project_full_path": "group/shop"}, "git_info": {"ref": "main", "sha": "main"}}`,
		"another shape": `{"id": "1", "job_info": []}`,
	} {
		if err := os.WriteFile(file, []byte(response), 0o600); err != nil {
			t.Fatal(err)
		}
		j.env = []string{"JOB_RESPONSE_FILE=" + file}
		for _, stage := range []string{"config", "prepare"} {
			if got := j.stage(stage).exited(t, systemFailure, "the job response cannot be used"); got.stdout != "" {
				t.Errorf("%s with a response that is %s: stdout is %q", stage, name, got.stdout)
			}
		}
	}
	for _, file := range []string{"", "/no/such/file"} {
		j.env = []string{"JOB_RESPONSE_FILE=" + file}
		if got := j.stage("config").exited(t, systemFailure, "the job response cannot be used"); got.stdout != "" {
			t.Errorf("stdout is %q", got.stdout)
		}
	}
}

// TestConformance_ResponseMayLackWhatAJobDoesNotUse has null and nothing, as
// GitLab sends both.
func TestConformance_ResponseMayLackWhatAJobDoesNotUse(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"image": nil, "services": nil, "credentials": nil, "cache": nil, "steps": nil, "artifacts": nil, "dependencies": nil, "features": object{"of_a_later_gitlab": true}}
	j.stage("config").succeeded(t)
	j.prepared().run("build_script", "true").succeeded(t)
}
