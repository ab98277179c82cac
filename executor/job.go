package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Job is who a CI job is and what it asks for. It comes from the job response,
// the file that the runner got from GitLab: the environment of a stage holds
// the same values but whoever writes the job can override them there.
type Job struct {
	ID           int64
	Name         string
	ProjectID    int64
	Project      string // full path: group/shop
	Ref          string
	Branch       string // of the project itself; "": a tag, or a branch of a fork
	MergeRequest int64  // whose pipeline it is; 0: none's
	Protected    bool   // the ref is a protected one
	Fork         bool   // of a merge request whose branch is in another project
	SHA          string
	Pipeline     int64       // 0: GitLab did not say
	Requested    time.Time   // when the pipeline was created; zero: GitLab did not say
	User         int64       // who has started it; 0: GitLab did not say
	Login        string      // their login name, for people alone; "": not known for sure
	URL          string      // the job's page; "": GitLab did not say
	Environment  Environment // zero: none
	Image        Image       // zero: none
	Services     []Image
	Credentials  []Credential // for registries
	Public       []string     // names of variables that are no secret
	Caches       bool         // there is something under "cache:"
	Script       []string     // the lines under "script:"
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
	if len(j.Branch) > 1024 || strings.ContainsAny(j.Branch, "\x00\n\r") {
		problems = append(problems, fmt.Errorf("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME %q is no branch", review.Printable(j.Branch, 80)))
	}
	if j.User < 0 {
		problems = append(problems, fmt.Errorf("job_info.user_id %d is not positive", j.User))
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
