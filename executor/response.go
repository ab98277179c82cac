package executor

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// response is the part of the job response that we read. Source:
// common/spec/job.go of gitlab-runner.
type response struct {
	ID      int64 `json:"id"`
	JobInfo struct {
		Name      string `json:"name"`
		ProjectID int64  `json:"project_id"`
		FullPath  string `json:"project_full_path"` // from newer GitLab only
		UserID    int64  `json:"user_id"`           // from newer GitLab only
	} `json:"job_info"`
	GitInfo struct {
		RepoURL   string `json:"repo_url"`
		Ref       string `json:"ref"`
		RefType   string `json:"ref_type"` // branch or tag
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

func (r response) job() (Job, error) {
	job := Job{
		ID:          r.ID,
		Name:        r.JobInfo.Name,
		ProjectID:   r.JobInfo.ProjectID,
		Project:     r.project(),
		Ref:         r.GitInfo.Ref,
		SHA:         r.GitInfo.SHA,
		Pipeline:    r.pipeline(),
		Requested:   r.requested(),
		User:        r.JobInfo.UserID,
		Login:       r.login(),
		URL:         r.url(),
		Protected:   r.protected(),
		Fork:        r.fork(),
		Image:       r.Image.image(),
		Environment: r.environment(),
		Caches:      len(r.Cache) > 0,
	}
	job.Branch, job.MergeRequest = r.origin()
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

// pipeline is the job's, from the first variable of that name, which is GitLab's.
func (r response) pipeline() int64 {
	value, _ := first(r.Variables, "CI_PIPELINE_ID")
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// requested is when the job's pipeline was created; zero: GitLab did not say.
func (r response) requested() time.Time {
	value, _ := first(r.Variables, "CI_PIPELINE_CREATED_AT")
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// url is the job's page, from the first variable of that name, which is GitLab's.
func (r response) url() string {
	value, _ := first(r.Variables, "CI_JOB_URL")
	if review.CheckLink(value) != nil {
		return ""
	}
	return value
}

var loginName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$`)

// login is the login name of who has started the job. GitLab sends it behind what the
// job's author defines, so it is believed only if all of that name agree.
func (r response) login() string {
	name, _ := first(r.Variables, "GITLAB_USER_LOGIN")
	for _, v := range r.Variables {
		if v.Key == "GITLAB_USER_LOGIN" && v.Value != name {
			return ""
		}
	}
	if !loginName.MatchString(name) {
		return ""
	}
	return name
}

var mergeRequestRef = regexp.MustCompile(`^refs/merge-requests/([1-9][0-9]{0,17})/`)

// origin is the project's branch that the job runs for ("": a tag, or a branch of a
// fork), and the merge request whose pipeline it is (0: none's). GitLab sends the
// source branch with every pipeline of a merge request.
func (r response) origin() (branch string, mergeRequest int64) {
	match := mergeRequestRef.FindStringSubmatch(r.GitInfo.Ref)
	switch {
	case match != nil:
		mergeRequest, _ = strconv.ParseInt(match[1], 10, 64) // it is a number
		if !r.fork() {
			branch, _ = first(r.Variables, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
		}
	case r.GitInfo.RefType != "tag":
		branch = r.GitInfo.Ref
	}
	return branch, mergeRequest
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
