package review_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// happened is an event about the app that newForgeWorld has.
func happened(kind string) review.Event {
	return review.Event{
		ID: "1", Kind: kind, ProjectID: 42, Project: "group/shop", Branch: "login", MergeRequest: 3, Environment: "review/login",
		Received: time.Now().Add(time.Minute),
	}
}

// follows has every app that the event concerns follow it.
func (w *world) follows(event review.Event) (log string, err error) {
	w.t.Helper()
	apps, err := w.Affected(context.Background(), event)
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	for _, app := range apps {
		if err := w.Follow(context.Background(), event, app, review.NewLog(&b)); err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}

func TestFollow_AsksGitLab(t *testing.T) {
	for name, kind := range map[string]string{
		"the branch is deleted":       review.BranchDeleted,
		"the environment is stopped":  review.EnvironmentChanged,
		"the environment is deleted":  review.EnvironmentChanged,
		"the merge request is merged": review.MergeRequestMerged,
		"the merge request is closed": review.MergeRequestClosed,
		"the project is archived":     review.ProjectArchived,
	} {
		t.Run(name, func(t *testing.T) {
			w, forge := newForgeWorld(t)
			event := happened(kind)
			if log, err := w.follows(event); err != nil || !strings.Contains(log, "login stays: GitLab does not say that it has ended") {
				t.Errorf("%q, %v", log, err)
			}
			w.serves("login", "page 1")
			forge.Set(42, endings[name].happens)
			if log, err := w.follows(event); err != nil || !strings.Contains(log, endings[name].says) {
				t.Errorf("%q, %v", log, err)
			}
			w.leftNothing("login")
			if log, err := w.follows(event); err != nil || log != "" {
				t.Errorf("again: %q, %v", log, err)
			}
		})
	}
}

func TestFollow_AProjectThatIsDeleted(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Delete(42)
	if log, err := w.follows(happened(review.ProjectDeleted)); err != nil || !strings.Contains(log, "project group/shop was deleted") {
		t.Errorf("%q, %v", log, err)
	}
	w.leftNothing("login")
}

func TestFollow_WithoutAnAnswerItIsTriedAgain(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Fail = func(string) error { return errors.New("502 Bad Gateway") }
	if _, err := w.follows(happened(review.BranchDeleted)); err == nil {
		t.Error("it succeeded")
	}
	w.serves("login", "page 1")
}

// TestFollow_BelievesWhoItCannotAskAbout: GitLab keeps the branches of a mirror.
func TestFollow_BelievesWhoItCannotAskAbout(t *testing.T) {
	for _, kind := range []string{review.BranchDeleted, review.MergeRequestMerged, review.MergeRequestClosed, review.ProjectDeleted} {
		for _, mirror := range []bool{true, false} {
			w, _ := newForgeWorld(t)
			event := happened(kind)
			if event.Mirror = mirror; !mirror {
				w.Forge = nil
			}
			old := event
			old.Received = time.Now().Add(-time.Hour)
			if _, err := w.follows(old); err != nil {
				t.Error(err)
			}
			w.serves("login", "page 1") // it was deployed since
			if _, err := w.follows(event); err != nil {
				t.Error(err)
			}
			w.leftNothing("login")
		}
	}
}

// TestFollow_ProjectThatWasChanged: GitLab has no event for one that is archived.
func TestFollow_ProjectThatWasChanged(t *testing.T) {
	w, _ := newForgeWorld(t)
	w.Forge = nil
	if _, err := w.follows(happened(review.ProjectArchived)); err != nil {
		t.Error(err)
	}
	w.serves("login", "page 1")
	event := happened(review.ProjectArchived)
	event.Mirror = true
	if _, err := w.follows(event); err != nil {
		t.Error(err)
	}
	w.leftNothing("login")
}

func TestFollow_LeavesPinnedApps(t *testing.T) {
	w, forge := newForgeWorld(t)
	w.change("login", func(r *review.Record) { r.Pinned = true })
	for name, kind := range map[string]string{"the branch is deleted": review.BranchDeleted, "the project is archived": review.ProjectArchived} {
		forge.Set(42, endings[name].happens)
		event := happened(kind)
		for _, event.Mirror = range []bool{false, true} {
			if _, err := w.follows(event); err != nil {
				t.Error(err)
			}
		}
	}
	w.serves("login", "page 1")
}

func TestAffected_NamesTheAppsThatAnEventIsAbout(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Set(42, func(p *review.Survey) { exists(p, "other") })
	w.deployedFrom("other", 2)
	with := func(change func(*review.Event)) review.Event {
		event := happened(review.BranchDeleted)
		change(&event)
		return event
	}
	for name, c := range map[string]struct {
		event review.Event
		want  []string
	}{
		"by branch":              {happened(review.BranchDeleted), []string{"login"}},
		"by path":                {with(func(e *review.Event) { e.ProjectID = 0 }), []string{"login"}},
		"another project":        {with(func(e *review.Event) { e.ProjectID = 7 }), nil},
		"another path":           {with(func(e *review.Event) { e.ProjectID, e.Project = 0, "group/blog" }), nil},
		"no branch":              {with(func(e *review.Event) { e.Branch = "" }), nil},
		"environment":            {with(func(e *review.Event) { e.Kind, e.Environment = review.EnvironmentChanged, "review/other" }), []string{"other"}},
		"the whole project":      {with(func(e *review.Event) { e.Kind = review.ProjectDeleted }), []string{"login", "other"}},
		"something that is none": {with(func(e *review.Event) { e.Kind = "star added" }), nil},
	} {
		got, err := w.Affected(context.Background(), c.event)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}
