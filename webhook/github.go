package webhook

import (
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// Mirrors are the GitLab projects of GitHub's repositories, by "owner/name".
type Mirrors map[string]string

// project is the GitLab project of a repository. GitHub's names have no case.
func (m Mirrors) project(repository string) (string, bool) {
	for name, project := range m {
		if strings.EqualFold(name, repository) {
			return project, true
		}
	}
	return "", false
}

// githubEvent reads an event that GitHub calls what. The numbers of its pull requests
// are not those of GitLab's merge requests, so only their branches count.
// https://docs.github.com/webhooks/webhook-events-and-payloads
func githubEvent(what string, body []byte, mirrors Mirrors) (review.Event, error) {
	var payload githubPayload
	if err := decode(body, &payload); err != nil {
		return review.Event{}, err
	}
	event, err := payload.event(what)
	if err != nil {
		return event, err
	}
	project, found := mirrors.project(payload.Repository.Name)
	if !found {
		return nothing(`no [[projects]] has github = "%s"`, review.Printable(payload.Repository.Name, 200))
	}
	event.Mirror, event.Project = true, project
	return checked(event)
}

type githubPayload struct {
	Action      string           `json:"action"`
	Ref         string           `json:"ref"` // without refs/heads/
	RefType     string           `json:"ref_type"`
	Repository  githubRepository `json:"repository"`
	PullRequest struct {
		Merged bool `json:"merged"`
		Head   struct {
			Ref        string           `json:"ref"`
			Repository githubRepository `json:"repo"` // null: the fork is gone
		} `json:"head"`
	} `json:"pull_request"`
}

type githubRepository struct {
	Name string `json:"full_name"`
}

func (p githubPayload) event(what string) (review.Event, error) {
	switch what + " " + p.Action {
	case "delete ":
		if p.RefType != "branch" {
			return nothing("what was deleted is no branch")
		}
		return review.Event{Kind: review.BranchDeleted, Branch: p.Ref}, nil
	case "pull_request closed":
		if p.PullRequest.Head.Repository.Name != p.Repository.Name {
			return nothing("the pull request's branch is a fork's")
		}
		kind := review.MergeRequestClosed
		if p.PullRequest.Merged {
			kind = review.MergeRequestMerged
		}
		return review.Event{Kind: kind, Branch: p.PullRequest.Head.Ref}, nil
	case "repository deleted":
		return review.Event{Kind: review.ProjectDeleted}, nil
	case "repository archived":
		return review.Event{Kind: review.ProjectArchived}, nil
	}
	return nothing("%s %s ends no app", named(what), review.Printable(p.Action, 60))
}
