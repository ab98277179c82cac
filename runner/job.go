// Package runner plays gitlab-runner for a checkout on this machine. It makes
// a job response and an environment as GitLab and the runner would, calls a
// custom executor's stages as child processes in the runner's order, and
// passes their output on as the job log. It needs no GitLab.
//
// Start reading at Job.Run.
package runner

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Job is a job to play.
type Job struct {
	Dir         string // a directory of a git checkout
	Branch      string // "": the branch that is checked out
	Environment string // may hold $CI_… variables; "": none
	Action      string // of the environment: start or stop
	Image       string // "": none named
	Services    []Service
	Script      []string          // the user's lines
	Variables   map[string]string // set under "variables:"
}

// Service is what stands under "services:".
type Service struct {
	Name  string `json:"name"`  // of the image
	Alias string `json:"alias"` // "": the image's name is all that it is called
}

const (
	project     = "local/"
	projectBase = 1 << 40 // beyond the ids of real projects
)

// played is a job with what GitLab would know of it.
type played struct {
	Job
	id      int64
	project string // full path
	number  int64  // project id
	sha     string
	vars    []variable
}

type variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
}

var (
	notInPath = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)
	notInSlug = regexp.MustCompile(`[^a-z0-9]`)
)

func newPlayed(job Job, sha string) played {
	hash := fnv.New32a()
	hash.Write([]byte(job.Dir))
	p := played{
		Job:     job,
		id:      time.Now().UnixMicro()*1000 + rand.Int64N(1000), // several may begin in one microsecond
		project: project + strings.Trim(notInPath.ReplaceAllString(filepath.Base(job.Dir), "-"), "-."),
		number:  projectBase + int64(hash.Sum32()),
		sha:     sha,
	}
	p.vars = p.variables()
	return p
}

// variables are the job's, in GitLab's order: predefined ones, those of the
// environment, those of the project, then the user's.
// Source: lib/gitlab/ci/variables/builder.rb of GitLab.
func (p played) variables() []variable {
	public := func(key, value string) variable { return variable{Key: key, Value: value, Public: true} }
	id := strconv.FormatInt(p.id, 10)
	commit := []variable{
		public("CI_COMMIT_SHA", p.sha),
		public("CI_COMMIT_SHORT_SHA", p.sha[:8]),
		public("CI_COMMIT_REF_NAME", p.Branch),
		public("CI_COMMIT_REF_SLUG", slug(p.Branch)),
		public("CI_COMMIT_BRANCH", p.Branch),
		public("CI_DEFAULT_BRANCH", "main"),
	}
	vars := []variable{
		public("CI_PIPELINE_ID", id),
		public("CI_JOB_ID", id),
		{Key: "CI_JOB_TOKEN", Value: "token-of-" + id, Masked: true},
		public("CI_JOB_NAME", p.name()),
		public("CI_JOB_STAGE", "deploy"),
		public("CI_NODE_TOTAL", "1"),
	}
	if p.Environment != "" {
		vars = append(vars, public("CI_ENVIRONMENT_NAME", expand(p.Environment, commit)), public("CI_ENVIRONMENT_ACTION", p.Action))
	}
	vars = append(vars,
		public("CI", "true"),
		public("GITLAB_CI", "true"),
		public("CI_PROJECT_ID", strconv.FormatInt(p.number, 10)),
		public("CI_PROJECT_NAME", filepath.Base(p.project)),
		public("CI_PROJECT_PATH", p.project),
	)
	vars = append(vars, commit...)
	for _, key := range sortedKeys(p.Variables) {
		vars = append(vars, public(key, p.Variables[key]))
	}
	return vars
}

func (p played) name() string {
	if p.Action == "stop" {
		return "stop-review-app"
	}
	return "review-app"
}

// response is the job response, in the shape of common/spec/job.go of
// gitlab-runner.
func (p played) response() ([]byte, error) {
	type object map[string]any
	return json.MarshalIndent(object{
		"id":    p.id,
		"token": "token-of-" + strconv.FormatInt(p.id, 10),
		"job_info": object{
			"id": p.id, "name": p.name(), "stage": "deploy",
			"project_id": p.number, "project_name": filepath.Base(p.project), "project_full_path": p.project,
			"pipeline_id": p.id, "user_id": 1,
		},
		"git_info": object{
			"repo_url": p.repoURL(), "ref": p.Branch, "ref_type": "branch",
			"sha": p.sha, "before_sha": strings.Repeat("0", 40), "depth": cloneDepth, "refspecs": []string{},
		},
		"runner_info": object{"timeout": 3600},
		"variables":   p.vars,
		"steps":       []object{{"name": "script", "script": p.Script, "timeout": 3600, "when": "on_success", "allow_failure": false}},
		"image":       object{"name": p.Image},
		"services":    append([]Service{}, p.Services...), // a list even when it is empty
		"credentials": []object{},
	}, "", "  ")
}

func (p played) repoURL() string { return "https://gitlab.invalid/" + p.project + ".git" }

// environ is the environment of a stage: the host's, the runner's own
// variables, then the job's with the prefix CUSTOM_ENV_.
func (p played) environ(w workspace, jobEnv map[string]string, projectDir string) []string {
	env := append(os.Environ(),
		"TMPDIR="+w.dir,
		"BUILD_FAILURE_EXIT_CODE="+strconv.Itoa(buildFailure),
		"SYSTEM_FAILURE_EXIT_CODE="+strconv.Itoa(systemFailure),
		"BUILD_EXIT_CODE_FILE="+w.exitCodeFile,
		"JOB_RESPONSE_FILE="+w.responseFile,
	)
	for _, key := range sortedKeys(jobEnv) {
		env = append(env, key+"="+jobEnv[key])
	}
	for _, v := range p.vars {
		env = append(env, "CUSTOM_ENV_"+v.Key+"="+v.Value)
	}
	return append(env,
		"CUSTOM_ENV_CI_PROJECT_DIR="+projectDir,
		"CUSTOM_ENV_CI_JOB_IMAGE="+p.Image,
		"CUSTOM_ENV_CI_RUNNER_VERSION=19.4.0",
		"CUSTOM_ENV_CI_SERVER=yes",
	)
}

// slug is CI_COMMIT_REF_SLUG: lower case, 63 bytes, anything but letters and
// digits a hyphen. Source: Gitlab::Utils.slugify.
func slug(ref string) string {
	s := notInSlug.ReplaceAllString(strings.ToLower(ref), "-")
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.Trim(s, "-")
}

func expand(text string, vars []variable) string {
	return os.Expand(text, func(key string) string {
		for _, v := range vars {
			if v.Key == key {
				return v.Value
			}
		}
		return ""
	})
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Failed is a job that did not succeed. Its log has said why.
type Failed struct {
	Stage string
	Exit  int // of the stage's process
}

func (f *Failed) Error() string {
	if f.Exit == buildFailure {
		return fmt.Sprintf("Job failed: stage %s", f.Stage)
	}
	return fmt.Sprintf("Job failed (system failure): stage %s, exit code %d", f.Stage, f.Exit)
}
