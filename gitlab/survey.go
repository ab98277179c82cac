package gitlab

import (
	"context"
	"fmt"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// Survey tells what there is of a project, in five requests if none of it is more
// than a page. Of all environments, those are told that are available: one that is
// being stopped is left out as if it were stopped. For one app, its environment is
// told in whatever state it is.
func (g *GitLab) Survey(ctx context.Context, query review.Query) (review.Survey, error) {
	survey, err := g.survey(ctx, query)
	if err != nil {
		return review.Survey{}, failure(fmt.Sprintf("GitLab does not tell what there is of project %d", query.ProjectID), err)
	}
	return survey, nil
}

func (g *GitLab) survey(ctx context.Context, query review.Query) (review.Survey, error) {
	project, err := g.project(ctx, query.ProjectID)
	if answers404(err, "Project") {
		seesAll, err := g.seesAll(ctx)
		return review.Survey{Missing: true, SeesAll: seesAll}, err
	}
	if err != nil {
		return review.Survey{}, err
	}
	survey := review.Survey{
		Closed:       closed(project),
		Branches:     map[string]bool{},
		Environments: map[string]review.ForgeEnvironment{},
	}
	if query.App != nil {
		return survey, g.surveyApp(ctx, query.ProjectID, *query.App, &survey)
	}
	return survey, g.surveyAll(ctx, query, &survey)
}

// closed tells whether nothing goes on in the project any more.
func closed(project *gl.Project) bool {
	//nolint:staticcheck // MarkedForDeletionAt is what GitLab called it before
	return project.Archived || project.MarkedForDeletionOn != nil || project.MarkedForDeletionAt != nil
}

// surveyAll asks for everything at once.
func (g *GitLab) surveyAll(ctx context.Context, query review.Query, survey *review.Survey) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.branches(ctx, query.ProjectID, survey.Branches) })
	group.Go(func() error {
		return g.environments(ctx, query.ProjectID, gl.ListEnvironmentsOptions{States: gl.Ptr("available")}, survey.Environments)
	})
	group.Go(func() (err error) {
		survey.MergeRequests, err = g.changedSince(ctx, query.ProjectID, query.Since)
		return err
	})
	return group.Wait()
}

// surveyApp asks for each thing by its name, so that what is not there is known
// not to be there.
func (g *GitLab) surveyApp(ctx context.Context, project int64, app review.Source, survey *review.Survey) error {
	if app.Branch != "" {
		found, err := g.branch(ctx, project, app.Branch)
		if err != nil {
			return err
		}
		if found {
			survey.Branches[app.Branch] = true
		}
		ofBranch, err := g.mergeRequests(ctx, project, gl.ListProjectMergeRequestsOptions{State: gl.Ptr("all"), SourceBranch: gl.Ptr(app.Branch)}, time.Time{})
		if err != nil {
			return err
		}
		survey.MergeRequests = ofBranch
	}
	if app.MergeRequest != 0 {
		numbered, err := g.mergeRequests(ctx, project, gl.ListProjectMergeRequestsOptions{State: gl.Ptr("all"), IIDs: &[]int64{app.MergeRequest}}, time.Time{})
		if err != nil {
			return err
		}
		survey.MergeRequests = union(numbered, survey.MergeRequests)
	}
	if app.Environment == "" {
		return nil
	}
	return g.environments(ctx, project, gl.ListEnvironmentsOptions{Name: gl.Ptr(app.Environment)}, survey.Environments)
}

// project asks for the project itself.
func (g *GitLab) project(ctx context.Context, id int64) (*gl.Project, error) {
	project, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Project, *gl.Response, error) {
		return g.client.Projects.GetProject(id, nil, o...)
	})
	if err == nil && project.ID != id {
		return nil, g.because(got, fmt.Errorf("it is of project %d", project.ID))
	}
	return project, err
}
