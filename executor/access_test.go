package executor

import (
	"context"
	"errors"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// members is a GitLab where user 5 has started every job.
type members struct {
	level int
	err   error
	asked []int64
}

func (m *members) AccessLevel(_ context.Context, projectID, userID int64) (int, error) {
	m.asked = append(m.asked, projectID, userID)
	return m.level, m.err
}

func (m *members) JobUser(_ context.Context, _, jobID int64) (int64, error) {
	m.asked = append(m.asked, jobID)
	return 5, m.err
}

func TestAccess_DemandsTheLevel(t *testing.T) {
	for level, allowed := range map[int]bool{0: false, 30: false, 40: true, 50: true, 35: false} {
		s := newStages(t, nil)
		s.Policy.MinAccessLevel, s.Members = "maintainer", &members{level: level}
		if allowed {
			s.prepared()
			continue
		}
		isBuildFailure(t, s.Prepare(context.Background()), "user 5 has ", "in group/shop, and deploying to review/login needs maintainer", "the rule is policy.min_access_level")
		if len(s.engine.calls) > 0 {
			t.Error(s.engine.calls)
		}
	}
}

// TestAccess_AsksAboutTheUserWhomGitLabNames: a job can set GITLAB_USER_ID.
func TestAccess_AsksAboutTheUserWhomGitLabNames(t *testing.T) {
	for name, c := range map[string]struct {
		user any
		want []int64
	}{
		"the job response tells": {9, []int64{7, 9}},
		"older GitLab":           {nil, []int64{4711, 7, 5}},
	} {
		m := &members{level: 50}
		s := newStages(t, object{"job_info.user_id": c.user, "variables": variables("GITLAB_USER_ID=1", onReview, "CI_PROJECT_ID=7", "GITLAB_USER_ID=1")})
		s.Policy.MinAccessLevel, s.Members = "owner", m
		s.prepared()
		if len(m.asked) != len(c.want) || m.asked[len(m.asked)-1] != c.want[len(c.want)-1] {
			t.Errorf("%s: asked about %v, want %v", name, m.asked, c.want)
		}
	}
}

func TestAccess_UnknownIsNo(t *testing.T) {
	for name, m := range map[string]Members{"no answer": &members{err: errors.New("502 Bad Gateway")}, "nobody to ask": nil} {
		s := newStages(t, nil)
		s.Policy.MinAccessLevel, s.Members = "guest", m
		err := s.Prepare(context.Background())
		if err == nil || review.AsFailure(err).Kind != review.System {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.engine.calls) > 0 {
			t.Error(s.engine.calls)
		}
	}
}

func TestAccess_TryIsTheAdministrators(t *testing.T) {
	m := &members{}
	s := newStages(t, object{"job_info.project_id": review.LocalProjects + 42})
	s.Policy.MinAccessLevel, s.Members = "owner", m
	s.prepared()
	if m.asked != nil {
		t.Error(m.asked)
	}
}

func TestAccess_OnlyDeploysAreAskedAbout(t *testing.T) {
	for name, changes := range map[string]object{
		"an ordinary job": {"variables": variables("CI_PROJECT_ID=7")},
		"a stop job":      {"variables": variables(onReview, "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7")},
	} {
		m := &members{}
		s := newStages(t, changes)
		s.Policy.MinAccessLevel, s.Members = "owner", m
		if err := s.Prepare(context.Background()); err != nil || m.asked != nil {
			t.Errorf("%s: %v, asked %v", name, err, m.asked)
		}
	}
}
