package reviewtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Forge is a GitLab in memory, a review.Forge.
type Forge struct {
	Fail Fault
	// Answer, if set, changes what Survey answers: half a list, another project.
	Answer func(query review.Query, survey *review.Survey)
	// Admin is what the token is.
	Admin bool

	mu       sync.Mutex
	projects map[int64]*review.Survey
	stopped  []string
	notes    map[string]string
}

var _ review.Forge = (*Forge)(nil)

// Set makes a change to a project, which is made if it is not there.
func (f *Forge) Set(id int64, change func(project *review.Survey)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.projects[id] == nil {
		if f.projects == nil {
			f.projects = map[int64]*review.Survey{}
		}
		f.projects[id] = &review.Survey{Branches: map[string]bool{}, Environments: map[string]review.ForgeEnvironment{}}
	}
	change(f.projects[id])
}

// Delete removes a project.
func (f *Forge) Delete(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.projects, id)
}

// Survey answers as GitLab does: stopped environments are told by name alone.
func (f *Forge) Survey(ctx context.Context, query review.Query) (review.Survey, error) {
	op := "Survey"
	if query.App != nil {
		op = "Survey app"
	}
	if err := f.Fail.before(ctx, op); err != nil {
		return review.Survey{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	survey := review.Survey{Missing: true, SeesAll: f.Admin}
	if project := f.projects[query.ProjectID]; project != nil {
		survey = answer(*project, query)
	}
	if f.Answer != nil {
		f.Answer(query, &survey)
	}
	return survey, nil
}

func answer(project review.Survey, query review.Query) review.Survey {
	survey := review.Survey{Closed: project.Closed, Branches: map[string]bool{}, Environments: map[string]review.ForgeEnvironment{}}
	for name := range project.Branches {
		if query.App == nil || name == query.App.Branch {
			survey.Branches[name] = true
		}
	}
	for name, e := range project.Environments {
		if (query.App == nil && e.State != "stopped") || (query.App != nil && name == query.App.Environment) {
			survey.Environments[name] = e
		}
	}
	for _, m := range project.MergeRequests {
		old := !m.Ended.IsZero() && m.Ended.Before(query.Since)
		if !old && (query.App == nil || m.Branch == query.App.Branch || m.Number == query.App.MergeRequest) {
			survey.MergeRequests = append(survey.MergeRequests, m)
		}
	}
	return survey
}

// StopEnvironment stops the environment if it is there.
func (f *Forge) StopEnvironment(ctx context.Context, projectID int64, environment string) error {
	if err := f.Fail.before(ctx, "StopEnvironment"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	project := f.projects[projectID]
	if project == nil {
		return nil
	}
	if e, there := project.Environments[environment]; there && e.State != "stopped" {
		project.Environments[environment] = review.ForgeEnvironment{State: "stopped", Updated: time.Now()}
		f.stopped = append(f.stopped, environment)
	}
	return nil
}

// Note keeps the comment.
func (f *Forge) Note(ctx context.Context, projectID, mergeRequest int64, app, text string) error {
	if err := f.Fail.before(ctx, "Note"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notes == nil {
		f.notes = map[string]string{}
	}
	f.notes[fmt.Sprintf("%d!%d %s", projectID, mergeRequest, app)] = text
	return nil
}

// Stopped lists the environments that StopEnvironment has stopped, in order.
func (f *Forge) Stopped() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.stopped)
}

// Comment returns the app's comment on a merge request.
func (f *Forge) Comment(projectID, mergeRequest int64, app string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notes[fmt.Sprintf("%d!%d %s", projectID, mergeRequest, app)]
}
