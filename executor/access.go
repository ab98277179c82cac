package executor

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gitlab.com/review-executor/review-executor/review"
)

// Members tells who may do what in a project.
type Members interface {
	// AccessLevel returns the user's level in the project, as GitLab counts them; 0: the user is no member.
	AccessLevel(ctx context.Context, projectID, userID int64) (int, error)
	// JobUser returns who has started the job.
	JobUser(ctx context.Context, projectID, jobID int64) (int64, error)
}

// accessLevels are GitLab's, by name. Source: https://docs.gitlab.com/api/members/
var accessLevels = map[string]int{"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}

// accessLevelNames are the names, from the lowest level to the highest.
func accessLevelNames() []string {
	return slices.SortedFunc(maps.Keys(accessLevels), func(a, b string) int { return accessLevels[a] - accessLevels[b] })
}

// checkAccess refuses a deploy by somebody who has too little to say in the
// project, or of whom that cannot be known.
func (e *Executor) checkAccess(ctx context.Context, job Job) error {
	least := accessLevels[e.Policy.MinAccessLevel]
	if least == 0 || review.Local(job.ProjectID) { // whoever runs "try" can do all that we can
		return nil
	}
	level, user, err := e.accessLevel(ctx, job)
	if err != nil {
		return &review.Failure{
			What:  fmt.Sprintf("whether this job may deploy to %s is not known: GitLab did not tell who started it and with which access", job.Environment.Name),
			Cause: err,
			State: "nothing was changed",
			Hint:  fmt.Sprintf("not your branch: retry the job, and if that does not help, ask %s", e.Policy.Contact),
		}
	}
	if level < least {
		return e.denied("min_access_level", "user %d has %s in %s, and deploying to %s needs %s", user, levelName(level), job.Project, job.Environment.Name, e.Policy.MinAccessLevel)
	}
	return nil
}

// accessLevel asks for the user whom GitLab itself names: any job can set the
// variable GITLAB_USER_ID.
func (e *Executor) accessLevel(ctx context.Context, job Job) (level int, user int64, err error) {
	if e.Members == nil {
		return 0, 0, fmt.Errorf("gitlab.url is not configured")
	}
	if user = job.User; user == 0 {
		if user, err = e.Members.JobUser(ctx, job.ProjectID, job.ID); err != nil {
			return 0, 0, err
		}
	}
	level, err = e.Members.AccessLevel(ctx, job.ProjectID, user)
	return level, user, err
}

func levelName(level int) string {
	for name, number := range accessLevels {
		if number == level {
			return "the access level " + name
		}
	}
	if level == 0 {
		return "no access level"
	}
	return fmt.Sprintf("access level %d", level)
}
