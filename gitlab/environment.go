package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gl "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/review-executor/review-executor/review"
)

// environments notes those that the options ask for.
func (g *GitLab) environments(ctx context.Context, project int64, options gl.ListEnvironmentsOptions, found map[string]review.ForgeEnvironment) error {
	all, err := g.listEnvironments(ctx, project, options)
	if err != nil {
		return err
	}
	for _, env := range all {
		told := review.ForgeEnvironment{State: env.State}
		if env.AutoStopAt != nil {
			told.AutoStop = *env.AutoStopAt
		}
		if env.UpdatedAt != nil {
			told.Updated = *env.UpdatedAt
		}
		found[env.Name] = told
	}
	return nil
}

func (g *GitLab) listEnvironments(ctx context.Context, project int64, options gl.ListEnvironmentsOptions) ([]*gl.Environment, error) {
	all, _, err := list(ctx, g, gl.ListOptions{PerPage: perRequest}, func(page gl.ListOptions, o ...gl.RequestOptionFunc) ([]*gl.Environment, *gl.Response, error) {
		options := options
		options.ListOptions = page
		return g.client.Environments.ListEnvironments(project, &options, o...)
	})
	if err != nil {
		return nil, err
	}
	for _, env := range all {
		if err := checkEnvironment(project, env, options.Name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func checkEnvironment(project int64, env *gl.Environment, name *string) error {
	odd := func(what string) error {
		return oddItem("environment %q of project %d, as GitLab tells it, %s", env.Name, project, what)
	}
	switch {
	case env.ID <= 0:
		return odd("has no id")
	case env.Name == "":
		return odd("has no name")
	case name != nil && env.Name != *name:
		return odd(fmt.Sprintf("is not %q, which it was asked for", *name))
	case env.State != "available" && env.State != "stopping" && env.State != "stopped":
		return odd(fmt.Sprintf("is in no state that there is: %q", env.State))
	}
	return nil
}

// StopEnvironment stops an environment without running its on_stop job. One that is
// stopped already, or gone with its project or without, is no error.
func (g *GitLab) StopEnvironment(ctx context.Context, projectID int64, environment string) error {
	if err := g.stopEnvironment(ctx, projectID, environment); err != nil && !answers404(err, "Project") {
		return failure(fmt.Sprintf("environment %q of project %d is not stopped in GitLab", environment, projectID), err)
	}
	return nil
}

func (g *GitLab) stopEnvironment(ctx context.Context, project int64, name string) error {
	env, err := g.runningEnvironment(ctx, project, name)
	if err != nil || env == nil {
		return err
	}
	_, _, err = one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Environment, *gl.Response, error) {
		return g.client.Environments.StopEnvironment(project, env.ID, &gl.StopEnvironmentOptions{Force: gl.Ptr(true)}, o...)
	})
	var t *trouble
	if errors.As(err, &t) && t.status == http.StatusNotFound {
		// Somebody may have deleted it meanwhile.
		if env, again := g.runningEnvironment(ctx, project, name); again == nil && env == nil {
			return nil
		}
	}
	return err
}

// runningEnvironment is the one of that name, or nil if it is stopped or gone.
func (g *GitLab) runningEnvironment(ctx context.Context, project int64, name string) (*gl.Environment, error) {
	all, err := g.listEnvironments(ctx, project, gl.ListEnvironmentsOptions{Name: gl.Ptr(name)})
	if err != nil || len(all) == 0 || all[0].State == "stopped" {
		return nil, err
	}
	return all[0], nil
}
