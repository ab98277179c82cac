package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// Job is who a CI job is and what it asks for. It comes from the job response,
// the file that the runner got from GitLab: the environment of a stage holds
// the same values but whoever writes the job can override them there.
type Job struct {
	ID          int64
	Name        string
	ProjectID   int64
	Project     string // full path: group/shop
	Ref         string
	Protected   bool // the ref is a protected one
	Fork        bool // of a merge request whose branch is in another project
	SHA         string
	Environment Environment // zero: none
	Image       Image       // zero: none
	Services    []Image
	Credentials []Credential // for registries
	Public      []string     // names of variables that are no secret
	Caches      bool         // there is something under "cache:"
	Script      []string     // the lines under "script:"
}

// Image is what stands under "image:", or one of "services:", as it was
// written: variables are not expanded.
type Image struct {
	Name       string
	Aliases    []string // of a service: names that reach it
	Entrypoint []string // nil: the image's
	Command    []string // of a service; nil: the image's
	Policies   []string // pull policies, in order of preference; none: the host's
	Platform   string   // linux/arm64; "": the host's
	User       string   // "": the image's
	Variables  []variable
}

// Credential is a login to a registry that GitLab sent with the job.
type Credential struct{ URL, Username, Password string }

// Environment is what a job has under "environment:".
type Environment struct {
	Name   string
	Action string // start, prepare, stop, verify or access
}

// response is the part of the job response that we read. Source:
// common/spec/job.go of gitlab-runner.
type response struct {
	ID      int64 `json:"id"`
	JobInfo struct {
		Name      string `json:"name"`
		ProjectID int64  `json:"project_id"`
		FullPath  string `json:"project_full_path"` // from newer GitLab only
	} `json:"job_info"`
	GitInfo struct {
		RepoURL   string `json:"repo_url"`
		Ref       string `json:"ref"`
		SHA       string `json:"sha"`
		Protected *bool  `json:"protected"` // from GitLab 18.3
	} `json:"git_info"`
	Variables   []variable      `json:"variables"`
	Image       imageResponse   `json:"image"`
	Services    []imageResponse `json:"services"`
	Credentials []struct {
		Type     string `json:"type"`
		URL      string `json:"url"`
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"credentials"`
	Cache []json.RawMessage `json:"cache"`
	Steps []struct {
		Name   string   `json:"name"`
		Script []string `json:"script"`
	} `json:"steps"`
}

type imageResponse struct {
	Name       string     `json:"name"`
	Alias      string     `json:"alias"` // several, split on commas and spaces
	Entrypoint []string   `json:"entrypoint"`
	Command    []string   `json:"command"`
	Variables  []variable `json:"variables"`
	PullPolicy []string   `json:"pull_policy"`
	Options    struct {
		Docker struct {
			Platform string `json:"platform"`
			User     string `json:"user"`
		} `json:"docker"`
	} `json:"executor_opts"`
}

type variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
}

// ReadJob reads the job response that the runner wrote to file.
func ReadJob(file string) (Job, error) {
	if file == "" {
		return Job{}, badResponse(errors.New("JOB_RESPONSE_FILE is not set"))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return Job{}, badResponse(err)
	}
	var r response
	if err := json.Unmarshal(data, &r); err != nil {
		return Job{}, badResponse(err)
	}
	job, err := r.job()
	if err != nil {
		return Job{}, badResponse(err)
	}
	return job, nil
}

func badResponse(err error) error {
	return &review.Failure{
		What:  "the job response cannot be used",
		Cause: err,
		State: "nothing was changed",
		Hint:  "not your branch: gitlab-runner 14.1 or later writes it; run the executor through the runner, or with \"review-executor try\"",
	}
}

func (r response) job() (Job, error) {
	job := Job{
		ID:          r.ID,
		Name:        r.JobInfo.Name,
		ProjectID:   r.JobInfo.ProjectID,
		Project:     r.project(),
		Ref:         r.GitInfo.Ref,
		SHA:         r.GitInfo.SHA,
		Protected:   r.protected(),
		Fork:        r.fork(),
		Image:       r.Image.image(),
		Environment: r.environment(),
		Caches:      len(r.Cache) > 0,
	}
	for _, service := range r.Services {
		job.Services = append(job.Services, service.image())
	}
	for _, c := range r.Credentials {
		if c.Type == "registry" {
			job.Credentials = append(job.Credentials, Credential{c.URL, c.Username, c.Password})
		}
	}
	for _, v := range r.Variables {
		if v.Public {
			job.Public = append(job.Public, v.Key)
		}
	}
	for _, step := range r.Steps {
		if step.Name == "script" {
			job.Script = step.Script
		}
	}
	return job, job.check()
}

func (i imageResponse) image() Image {
	return Image{
		Name:       i.Name,
		Aliases:    strings.Fields(strings.ReplaceAll(i.Alias, ",", " ")),
		Entrypoint: i.Entrypoint,
		Command:    i.Command,
		Policies:   i.PullPolicy,
		Platform:   i.Options.Docker.Platform,
		User:       i.Options.Docker.User,
		Variables:  i.Variables,
	}
}

// protected tells whether the ref is a protected one. GitLab before 18.3 has it
// among the variables alone, where the first is its own: it always sends one.
func (r response) protected() bool {
	if r.GitInfo.Protected != nil {
		return *r.GitInfo.Protected
	}
	value, _ := first(r.Variables, "CI_COMMIT_REF_PROTECTED")
	return value == "true"
}

// fork tells whether the job is of a merge request from another project. The
// ref of a merge request's pipeline says that it is one, and then GitLab sends
// the source project before anybody else's variables.
func (r response) fork() bool {
	if !strings.HasPrefix(r.GitInfo.Ref, "refs/merge-requests/") {
		return false
	}
	source, _ := first(r.Variables, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
	return source != strconv.FormatInt(r.JobInfo.ProjectID, 10)
}

// check refuses what GitLab never sends. All problems are reported together.
func (j Job) check() error {
	var problems []error
	if j.ID <= 0 {
		problems = append(problems, fmt.Errorf("id %d is not positive", j.ID))
	}
	if j.ProjectID <= 0 {
		problems = append(problems, fmt.Errorf("job_info.project_id %d is not positive", j.ProjectID))
	}
	if err := checkProject(j.Project); err != nil {
		problems = append(problems, err)
	}
	if !isHex(j.SHA) {
		problems = append(problems, fmt.Errorf("git_info.sha %q is no commit", review.Printable(j.SHA, 80)))
	}
	if j.Ref == "" || len(j.Ref) > 1024 || strings.ContainsAny(j.Ref, "\x00\n\r") {
		problems = append(problems, fmt.Errorf("git_info.ref %q is no ref", review.Printable(j.Ref, 80)))
	}
	return errors.Join(problems...)
}

func checkProject(project string) error {
	clean := project != "" && len(project) <= 1024 && path.Clean("/"+project) == "/"+project
	for _, r := range project {
		clean = clean && (r == '/' || r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}
	if !clean {
		return fmt.Errorf("project path %q is not one", review.Printable(project, 80))
	}
	return nil
}

func isHex(sha string) bool {
	for _, r := range sha {
		if !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return len(sha) == 40 || len(sha) == 64
}

// project is the full path, from the field that newer GitLab sends or from the
// clone URL, which always ends in it.
func (r response) project() string {
	if r.JobInfo.FullPath != "" {
		return r.JobInfo.FullPath
	}
	if value, found := first(r.Variables, "CI_PROJECT_PATH"); found {
		return value
	}
	u, err := url.Parse(r.GitInfo.RepoURL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
}

// environment reads the job's environment from the variables that nobody but
// GitLab can have written. GitLab sends, in this order: variables of the job,
// CI_NODE_TOTAL, those of the environment if there is one, those of the
// project, and only then what users define (lib/gitlab/ci/variables/builder.rb).
// A CI_ENVIRONMENT_NAME behind CI_PROJECT_ID is a user's invention.
//
// Older GitLab sent the action at the very end, after the users'.
func (r response) environment() Environment {
	var predefined []variable
	for i, v := range r.Variables {
		if v.Key == "CI_PROJECT_ID" && v.Value == strconv.FormatInt(r.JobInfo.ProjectID, 10) {
			predefined = r.Variables[:i]
			break
		}
	}
	name, found := first(predefined, "CI_ENVIRONMENT_NAME")
	if !found {
		return Environment{}
	}
	action, found := first(predefined, "CI_ENVIRONMENT_ACTION")
	if !found {
		action = last(r.Variables, "CI_ENVIRONMENT_ACTION")
	}
	if action == "" {
		action = "start"
	}
	return Environment{Name: name, Action: action}
}

func first(variables []variable, key string) (string, bool) {
	for _, v := range variables {
		if v.Key == key {
			return v.Value, true
		}
	}
	return "", false
}

func last(variables []variable, key string) string {
	value := ""
	for _, v := range variables {
		if v.Key == key {
			value = v.Value
		}
	}
	return value
}
