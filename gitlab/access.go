package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// accessLasts is how long a level is believed after it was asked for.
const accessLasts = time.Minute

// AccessLevel returns the level of a user in a project, with what the project's
// groups give. Whoever is no member, or no more, or is blocked, has 0. What GitLab
// has told is believed for a minute.
func (g *GitLab) AccessLevel(ctx context.Context, projectID, userID int64) (int, error) {
	if level, known := g.knownAccess(projectID, userID, time.Now()); known {
		return level, nil
	}
	level, err := g.askAccess(ctx, projectID, userID)
	if err != nil {
		return 0, failure(fmt.Sprintf("GitLab does not tell what user %d may do in project %d", userID, projectID), err)
	}
	g.keepAccess(projectID, userID, level, time.Now())
	return level, nil
}

// JobUser returns the user who has started the job.
func (g *GitLab) JobUser(ctx context.Context, projectID, jobID int64) (int64, error) {
	job, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Job, *gl.Response, error) {
		return g.client.Jobs.GetJob(projectID, jobID, o...)
	})
	if err == nil && (job.ID != jobID || job.User == nil || job.User.ID <= 0) {
		err = g.because(got, fmt.Errorf("it is of job %d, or names no user", job.ID))
	}
	if err != nil {
		return 0, failure(fmt.Sprintf("GitLab does not tell who has started job %d of project %d", jobID, projectID), err)
	}
	return job.User.ID, nil
}

func (g *GitLab) askAccess(ctx context.Context, projectID, userID int64) (int, error) {
	member, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.ProjectMember, *gl.Response, error) {
		return g.client.ProjectMembers.GetInheritedProjectMember(projectID, userID, o...)
	})
	var t *trouble
	if errors.As(err, &t) && t.status == http.StatusNotFound && t.says != "" {
		// GitLab says no more than "404 Not found" for who is no member.
		_, err = g.project(ctx, projectID)
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	if member.ID != userID {
		return 0, g.because(got, fmt.Errorf("it is of user %d", member.ID))
	}
	if !memberNow(member, got.body, time.Now()) {
		return 0, nil
	}
	return int(member.AccessLevel), nil
}

// memberNow tells whether a membership is worth its level.
func memberNow(member *gl.ProjectMember, body []byte, now time.Time) bool {
	var more struct {
		State *string `json:"membership_state"` // client-go does not know it
	}
	if json.Unmarshal(body, &more) != nil || more.State != nil && *more.State != "active" {
		return false
	}
	if member.ExpiresAt != nil && !time.Time(*member.ExpiresAt).After(now) {
		return false
	}
	return member.State == "active"
}

// access is a level as it is kept.
type access struct {
	Owner string    `json:"owner"` // of which GitLab and which token
	Level int       `json:"level"`
	Asked time.Time `json:"asked"`
}

func (g *GitLab) accessFile(projectID, userID int64) string {
	return filepath.Join(g.dir, "access", fmt.Sprintf("%d-%d.json", projectID, userID))
}

// knownAccess is what was kept. Whatever is wrong with it, GitLab is asked.
func (g *GitLab) knownAccess(projectID, userID int64, now time.Time) (level int, known bool) {
	if g.dir == "" {
		return 0, false
	}
	data, err := os.ReadFile(g.accessFile(projectID, userID))
	var kept access
	if err != nil || json.Unmarshal(data, &kept) != nil || kept.Owner != g.owner() {
		return 0, false
	}
	age := now.Sub(kept.Asked)
	return kept.Level, age >= 0 && age < accessLasts
}

func (g *GitLab) keepAccess(projectID, userID int64, level int, now time.Time) {
	if g.dir == "" {
		return
	}
	data, err := json.Marshal(access{Owner: g.owner(), Level: level, Asked: now})
	file := g.accessFile(projectID, userID)
	if err != nil || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	if renameio.WriteFile(file, data, 0o600) == nil {
		trim(filepath.Dir(file), maxPages, maxPageBytes)
	}
}
