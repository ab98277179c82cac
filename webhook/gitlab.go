package webhook

import (
	"encoding/json"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// gitlabProject is in every payload of project and group webhooks.
type gitlabProject struct {
	ID   int64  `json:"id"`
	Path string `json:"path_with_namespace"`
}

// gitlabEvent reads an event of a project's, a group's or the system's webhook. The
// payload says itself what it is; the header says only "System Hook" for the last.
// https://docs.gitlab.com/user/project/integrations/webhook_events/
// https://docs.gitlab.com/administration/system_hooks/
func gitlabEvent(body []byte) (review.Event, error) {
	var what struct {
		Kind  string `json:"object_kind"`
		Event string `json:"event_name"`
	}
	if err := decode(body, &what); err != nil {
		return review.Event{}, err
	}
	kind := what.Kind
	if kind == "" {
		kind = what.Event
	}
	read, known := map[string]func([]byte) (review.Event, error){
		"push":            gitlabPush,
		"merge_request":   gitlabMergeRequest,
		"deployment":      gitlabDeployment,
		"build":           gitlabJob,
		"project_destroy": gitlabProjectEnd(review.ProjectDeleted),
		// An archived project is an updated one, and only GitLab knows what was updated.
		"project_update": gitlabProjectEnd(review.ProjectArchived),
	}[kind]
	if !known {
		return nothing("%s ends no app", named(kind))
	}
	event, err := read(body)
	if err != nil {
		return event, err
	}
	return checked(event)
}

// named is what a sender calls an event, for a log and an answer.
func named(kind string) string {
	if kind == "" {
		return "an event without a name"
	}
	return "event " + review.Printable(kind, 60)
}

func gitlabPush(body []byte) (review.Event, error) {
	var push struct {
		Ref       string        `json:"ref"`
		After     string        `json:"after"`
		ProjectID int64         `json:"project_id"`
		Project   gitlabProject `json:"project"`
	}
	if err := decode(body, &push); err != nil {
		return review.Event{}, err
	}
	branch, found := strings.CutPrefix(push.Ref, "refs/heads/")
	if !found {
		return nothing("a push to no branch ends no app")
	}
	if strings.Trim(push.After, "0") != "" || push.After == "" {
		return nothing("the branch was not deleted")
	}
	return review.Event{Kind: review.BranchDeleted, ProjectID: push.ProjectID, Project: push.Project.Path, Branch: branch}, nil
}

func gitlabMergeRequest(body []byte) (review.Event, error) {
	var mr struct {
		Project    gitlabProject `json:"project"`
		Attributes struct {
			Number int64  `json:"iid"`
			Action string `json:"action"`
			Branch string `json:"source_branch"`
			Source int64  `json:"source_project_id"`
			Target int64  `json:"target_project_id"`
		} `json:"object_attributes"`
	}
	if err := decode(body, &mr); err != nil {
		return review.Event{}, err
	}
	event := review.Event{ProjectID: mr.Project.ID, Project: mr.Project.Path, Branch: mr.Attributes.Branch, MergeRequest: mr.Attributes.Number}
	switch mr.Attributes.Action {
	case "merge":
		event.Kind = review.MergeRequestMerged
	case "close":
		event.Kind = review.MergeRequestClosed
	default:
		return nothing("the merge request was neither merged nor closed")
	}
	if mr.Attributes.Source != mr.Attributes.Target {
		event.Branch = "" // a fork's: the project may have another one of that name
	}
	return event, nil
}

func gitlabDeployment(body []byte) (review.Event, error) {
	var deployment struct {
		Status      string        `json:"status"`
		Environment string        `json:"environment"`
		Project     gitlabProject `json:"project"`
	}
	if err := decode(body, &deployment); err != nil {
		return review.Event{}, err
	}
	if !ended(deployment.Status) {
		return nothing("the deployment has not ended")
	}
	return environmentChanged(deployment.Project, deployment.Environment), nil
}

// gitlabJob tells of stop jobs alone: they make no deployment.
func gitlabJob(body []byte) (review.Event, error) {
	var job struct {
		Status      string          `json:"build_status"`
		ProjectID   int64           `json:"project_id"`
		Project     gitlabProject   `json:"project"`
		Environment json.RawMessage `json:"environment"`
	}
	if err := decode(body, &job); err != nil {
		return review.Event{}, err
	}
	var environment struct {
		Name   string `json:"name"`
		Action string `json:"action"`
	}
	if len(job.Environment) > 0 {
		if err := decode(job.Environment, &environment); err != nil {
			return review.Event{}, err
		}
	}
	if environment.Action != "stop" || !ended(job.Status) {
		return nothing("the job has stopped no environment")
	}
	project := job.Project
	if project.ID == 0 { // as GitLab before 16 has it
		project.ID = job.ProjectID
	}
	return environmentChanged(project, environment.Name), nil
}

func environmentChanged(project gitlabProject, environment string) review.Event {
	return review.Event{Kind: review.EnvironmentChanged, ProjectID: project.ID, Project: project.Path, Environment: environment}
}

// ended tells whether a job or a deployment has this status for good.
func ended(status string) bool {
	return status == "success" || status == "failed" || status == "canceled"
}

func gitlabProjectEnd(kind string) func([]byte) (review.Event, error) {
	return func(body []byte) (review.Event, error) {
		var project struct {
			ID   int64  `json:"project_id"`
			Path string `json:"path_with_namespace"`
		}
		if err := decode(body, &project); err != nil {
			return review.Event{}, err
		}
		return review.Event{Kind: kind, ProjectID: project.ID, Project: project.Path}, nil
	}
}
