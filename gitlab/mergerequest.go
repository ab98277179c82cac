package gitlab

import (
	"context"
	"fmt"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/review-executor/review-executor/review"
)

// changedSince asks for what has changed since the full hour, so that the request,
// and with it what is kept of its answer, is the same for an hour.
func (g *GitLab) changedSince(ctx context.Context, project int64, since time.Time) ([]review.MergeRequest, error) {
	options := gl.ListProjectMergeRequestsOptions{State: gl.Ptr("all")}
	if !since.IsZero() {
		options.UpdatedAfter = gl.Ptr(since.UTC().Truncate(time.Hour))
	}
	return g.mergeRequests(ctx, project, options, since)
}

// mergeRequests asks for those that the options ask for and that have changed since.
func (g *GitLab) mergeRequests(ctx context.Context, project int64, options gl.ListProjectMergeRequestsOptions, since time.Time) ([]review.MergeRequest, error) {
	all, _, err := list(ctx, g, gl.ListOptions{PerPage: perRequest}, func(page gl.ListOptions, o ...gl.RequestOptionFunc) ([]*gl.BasicMergeRequest, *gl.Response, error) {
		options := options
		options.ListOptions = page
		return g.client.MergeRequests.ListProjectMergeRequests(project, &options, o...)
	})
	if err != nil {
		return nil, err
	}
	var told []review.MergeRequest
	for _, mr := range all {
		one, err := mergeRequest(project, mr)
		if err != nil {
			return nil, err
		}
		if mr.UpdatedAt == nil || !mr.UpdatedAt.Before(since) {
			told = append(told, one)
		}
	}
	return told, nil
}

// mergeRequest is the forge's as we know it.
func mergeRequest(project int64, mr *gl.BasicMergeRequest) (review.MergeRequest, error) {
	odd := func(what string) (review.MergeRequest, error) {
		return review.MergeRequest{}, oddItem("merge request %d of project %d, as GitLab tells it, %s", mr.IID, project, what)
	}
	if mr.IID <= 0 {
		return odd("has no number")
	}
	if mr.ProjectID != project {
		return odd(fmt.Sprintf("is of project %d", mr.ProjectID))
	}
	if mr.SourceBranch == "" {
		return odd("has no branch")
	}
	told := review.MergeRequest{Number: mr.IID, Branch: mr.SourceBranch, Fork: mr.SourceProjectID != project, State: mr.State}
	var ended *time.Time
	switch mr.State {
	case "opened", "locked":
		return told, nil
	case "merged":
		ended = mr.MergedAt
	case "closed":
		ended = mr.ClosedAt
	default:
		return odd(fmt.Sprintf("is in no state that there is: %q", mr.State))
	}
	if ended == nil { // of an import, or from before GitLab noted it
		ended = mr.UpdatedAt
	}
	if ended == nil || ended.IsZero() {
		return odd("is " + mr.State + " and has no time")
	}
	told.Ended = *ended
	return told, nil
}

// union has each merge request once, as the first list tells it.
func union(lists ...[]review.MergeRequest) []review.MergeRequest {
	seen := map[int64]bool{}
	var all []review.MergeRequest
	for _, list := range lists {
		for _, mr := range list {
			if !seen[mr.Number] {
				seen[mr.Number] = true
				all = append(all, mr)
			}
		}
	}
	return all
}
