package coordinatortest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Spec is what a test writes of a job, as in .gitlab-ci.yml.
type Spec struct {
	Image               string
	Services            []map[string]any
	Environment, Action string
	Script, AfterScript []string
	Variables           []string // KEY=VALUE, behind GitLab's own; file:KEY=CONTENTS
	Cache, Reports      []map[string]any
	Needs               *Job // whose artifacts it gets
}

// Result is how the runner says that a job ended.
type Result struct {
	State         string `json:"state"`
	FailureReason string `json:"failure_reason"`
	ExitCode      int    `json:"exit_code"`
}

// Job is a job and what the runner has sent of it.
type Job struct {
	Spec
	ID        int64
	Artifacts map[string][]byte // by type: archive, metadata, dotenv; to be read when the job has ended

	t           testing.TB
	coordinator *Coordinator // whose lock is for all that follows
	sha         string
	status      string // as the runner is told it
	trace       []byte
	result      Result
	finished    chan struct{}
}

func (j *Job) token() string { return fmt.Sprintf("glcbt-test-%d", j.ID) }

// Log is the job log so far.
func (j *Job) Log() string {
	j.coordinator.mu.Lock()
	defer j.coordinator.mu.Unlock()
	return string(j.trace)
}

// Wait returns how the job ended. By then the runner has cleaned up.
func (j *Job) Wait() Result {
	j.t.Helper()
	select {
	case <-j.finished:
	case <-j.coordinator.Gone:
		j.t.Fatalf("gitlab-runner is gone; the job log:\n%s", j.Log())
	case <-time.After(time.Minute):
		j.t.Fatalf("the job did not end; its log:\n%s", j.Log())
	}
	return j.result
}

// Succeeded fails the test unless the job succeeds and its log says all of want.
func (j *Job) Succeeded(want ...string) {
	j.t.Helper()
	if got := j.Wait(); got.State != "success" {
		j.t.Fatalf("job %d: %+v\n%s", j.ID, got, j.Log())
	}
	j.Says(want...)
}

// Says fails the test unless the job log has all of want.
func (j *Job) Says(want ...string) {
	j.t.Helper()
	for _, text := range want {
		if !strings.Contains(j.Log(), text) {
			j.t.Errorf("the log of job %d does not say %q:\n%s", j.ID, text, j.Log())
		}
	}
}

// WaitFor waits until the log of the running job says text.
func (j *Job) WaitFor(text string) {
	j.t.Helper()
	for range 600 {
		if strings.Contains(j.Log(), text) {
			return
		}
		select {
		case <-j.finished:
			j.t.Fatalf("job %d ended before it said %q:\n%s", j.ID, text, j.Log())
		case <-j.coordinator.Gone:
			j.t.Fatalf("gitlab-runner is gone; the job log:\n%s", j.Log())
		case <-time.After(100 * time.Millisecond):
		}
	}
	j.t.Fatalf("job %d does not say %q:\n%s", j.ID, text, j.Log())
}

// SetStatus is what GitLab tells the runner from now on.
func (j *Job) SetStatus(status string) {
	j.coordinator.mu.Lock()
	defer j.coordinator.mu.Unlock()
	j.status = status
}

// response is the job as the runner gets it. Source: common/spec/spec.go.
func (j *Job) response() any {
	type object = map[string]any
	predefined := []string{fmt.Sprintf("CI_JOB_ID=%d", j.ID), "CI_COMMIT_SHA=" + j.sha, "CI_COMMIT_REF_NAME=main", "CI_COMMIT_REF_SLUG=main"}
	if j.Environment != "" {
		predefined = append(predefined, "CI_ENVIRONMENT_NAME="+j.Environment, "CI_ENVIRONMENT_ACTION="+j.Action)
	}
	predefined = append(predefined, "CI_PROJECT_ID=7", "CI_PROJECT_PATH=group/shop")
	var variables []object
	for _, entry := range append(predefined, j.Variables...) {
		key, value, _ := strings.Cut(entry, "=")
		name, file := strings.CutPrefix(key, "file:")
		variables = append(variables, object{"key": name, "value": value, "public": true, "file": file})
	}
	steps := []object{{"name": "script", "script": j.Script, "timeout": 600, "when": "on_success"}}
	if j.AfterScript != nil {
		steps = append(steps, object{"name": "after_script", "script": j.AfterScript, "timeout": 600, "when": "always", "allow_failure": true})
	}
	var dependencies []object
	if j.Needs != nil {
		dependencies = append(dependencies, object{
			"id": j.Needs.ID, "name": "before", "token": j.Needs.token(), "artifacts_file": object{"filename": "artifacts.zip", "size": len(j.Needs.Artifacts["archive"])},
		})
	}
	return object{
		"id": j.ID, "token": j.token(), "allow_git_fetch": true,
		"job_info": object{"name": "job", "stage": "test", "project_id": 7, "project_name": "shop", "project_full_path": "group/shop"},
		"git_info": object{
			"repo_url": strings.Replace(j.coordinator.URL, "//", "//gitlab-ci-token:"+j.token()+"@", 1) + "/group/shop.git",
			"ref":      "main", "ref_type": "branch", "sha": j.sha, "before_sha": strings.Repeat("0", 40), "depth": 20,
			"refspecs": []string{"+refs/heads/main:refs/remotes/origin/main"},
		},
		"runner_info": object{"timeout": 600}, "variables": variables, "steps": steps, "image": object{"name": j.Image}, "services": j.Services,
		"cache": j.Cache, "artifacts": j.Reports, "dependencies": dependencies,
		"features": object{"trace_sections": true, "failure_reasons": []string{"unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout"}},
	}
}
