package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// Note writes the app's one comment on a merge request, in the place of the one
// before. A comment that somebody has deleted is made anew, one that says the same
// already is left alone. If gitlab.notes is not set, it does nothing.
func (g *GitLab) Note(ctx context.Context, projectID, mergeRequest int64, app, text string) error {
	if !g.config.Notes {
		return nil
	}
	if err := g.note(ctx, projectID, mergeRequest, app, text); err != nil {
		return failure(fmt.Sprintf("merge request !%d of project %d has no comment that tells of app %s", mergeRequest, projectID, app), err)
	}
	return nil
}

// marker tells our comment on an app from others. It stands at the beginning of a
// line, where GitLab's Markdown takes it for a comment in HTML and shows nothing.
func marker(app string) string { return "<!-- review-executor: " + app + " -->" }

func (g *GitLab) note(ctx context.Context, project, number int64, app, text string) error {
	unlock, err := g.lockNotes(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	body := marker(app) + "\n\n" + strings.TrimSpace(text)
	old, err := g.findNote(ctx, project, number, app)
	if err != nil {
		return err
	}
	if old == nil {
		return g.createNote(ctx, project, number, body)
	}
	if strings.TrimSpace(strings.ReplaceAll(old.Body, "\r\n", "\n")) == body {
		return nil
	}
	_, _, err = one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Note, *gl.Response, error) {
		return g.client.Notes.UpdateMergeRequestNote(project, number, old.ID, &gl.UpdateMergeRequestNoteOptions{Body: &body}, o...)
	})
	var t *trouble
	if errors.As(err, &t) && t.status == http.StatusNotFound {
		return g.createNote(ctx, project, number, body) // it was deleted just now
	}
	return err
}

func (g *GitLab) createNote(ctx context.Context, project, number int64, body string) error {
	_, _, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Note, *gl.Response, error) {
		return g.client.Notes.CreateMergeRequestNote(project, number, &gl.CreateMergeRequestNoteOptions{Body: &body}, o...)
	})
	return err
}

// findNote returns the first comment of ours on the app, or nil. Whoever copies the
// marker is not us.
func (g *GitLab) findNote(ctx context.Context, project, number int64, app string) (*gl.Note, error) {
	me, err := g.user(ctx)
	if err != nil {
		return nil, err
	}
	// GitLab leaves out of a page what the user may not see, so the pages' counts
	// are not held against it.
	options := gl.ListOptions{PerPage: perRequest, OrderBy: "created_at", Sort: "asc"}
	notes, _, err := pages(ctx, g, options, func(page gl.ListOptions, o ...gl.RequestOptionFunc) ([]*gl.Note, *gl.Response, error) {
		return g.client.Notes.ListMergeRequestNotes(project, number, &gl.ListMergeRequestNotesOptions{ListOptions: page}, o...)
	}, false)
	if err != nil {
		return nil, err
	}
	for _, note := range notes {
		if note.ID > 0 && !note.System && note.Author.ID == me.ID && strings.HasPrefix(note.Body, marker(app)) {
			return note, nil
		}
	}
	return nil, nil
}

// lockNotes has one process of this host at a time look for a comment and make it,
// so that there are no two.
func (g *GitLab) lockNotes(ctx context.Context) (unlock func(), err error) {
	if g.dir == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(g.dir, "notes.lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = lock.Close() }, nil // which unlocks, whatever it says
}
