package gitlab_test

import (
	"strings"
	"sync"
	"testing"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

func notes(s *gitlabtest.Server) []gitlabtest.Note { return s.Project(7).MergeRequests[0].Notes }

func TestNote_IsOneAndKeptUpToDate(t *testing.T) {
	s := start(t)
	c, dir := config(t, s), t.TempDir()
	note := func(app, text string) {
		t.Helper()
		if err := open(t, c, dir).Note(t.Context(), 7, 5, app, text); err != nil {
			t.Fatal(err)
		}
	}
	// Others write too: a person copies our marker, another app has its own comment.
	s.Change(7, func(p *gitlabtest.Project) {
		p.MergeRequests[0].Notes = []gitlabtest.Note{
			{Author: 12, Body: "<!-- review-executor: blue -->\nmine!"},
			{Author: 77, Body: "<!-- review-executor: blue-2 -->\n\nanother app"},
			{Author: 77, System: true, Body: "<!-- review-executor: blue -->"},
			{Author: 77, Body: "it was <!-- review-executor: blue -->"},
		}
	})
	note("blue", "Ready: https://blue.review.example.org\n")
	want := "<!-- review-executor: blue -->\n\nReady: https://blue.review.example.org"
	if got := notes(s); len(got) != 5 || got[4].Body != want {
		t.Fatalf("made %+v", got)
	}
	s.Reset()
	note("blue", "Ready: https://blue.review.example.org")
	if made := s.Requests(); made[gitlabtest.NoteCreate]+made[gitlabtest.NoteUpdate] != 0 {
		t.Errorf("sent again though it says the same: %v", made)
	}
	note("blue", "Stopped")
	if got := notes(s); len(got) != 5 || got[4].Body != "<!-- review-executor: blue -->\n\nStopped" {
		t.Errorf("updated %+v", got)
	}
	s.Change(7, func(p *gitlabtest.Project) { p.MergeRequests[0].Notes = p.MergeRequests[0].Notes[:4] })
	note("blue", "Stopped")
	if got := notes(s); len(got) != 5 {
		t.Errorf("after it was deleted: %+v", got)
	}
}

func TestNote_IsFoundOnTheLastPage(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) {
		p.MergeRequests[0].Notes = make([]gitlabtest.Note, 230)
		p.MergeRequests[0].Notes[229].Body = "<!-- review-executor: blue -->\r\n\r\nReady\r\n"
	})
	if err := open(t, config(t, s), "").Note(t.Context(), 7, 5, "blue", "Ready"); err != nil {
		t.Fatal(err)
	}
	if made := s.Requests(); made[gitlabtest.NoteCreate]+made[gitlabtest.NoteUpdate] != 0 || made[gitlabtest.NoteList] != 3 {
		t.Errorf("%v", made)
	}
}

func TestNote_DeletedMeanwhileIsMadeAnew(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) {
		p.MergeRequests[0].Notes = []gitlabtest.Note{{Body: "<!-- review-executor: blue -->\n\nold"}}
	})
	s.Fail(gitlabtest.NoteList, gitlabtest.Fault{Edit: func(body []byte) []byte {
		s.Change(7, func(p *gitlabtest.Project) { p.MergeRequests[0].Notes = nil })
		return body
	}})
	if err := open(t, config(t, s), "").Note(t.Context(), 7, 5, "blue", "new"); err != nil {
		t.Fatal(err)
	}
	if got := notes(s); len(got) != 1 || !strings.HasSuffix(got[0].Body, "new") {
		t.Errorf("%+v", got)
	}
}

func TestNote_TwoAtOnceMakeOne(t *testing.T) {
	s := start(t)
	c, dir := config(t, s), t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		g := open(t, c, dir)
		group.Go(func() {
			if err := g.Note(t.Context(), 7, 5, "blue", "Ready"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := notes(s); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNote_OnlyIfConfigured(t *testing.T) {
	s := start(t)
	c := config(t, s)
	c.Notes = false
	if err := open(t, c, "").Note(t.Context(), 7, 5, "blue", "Ready"); err != nil || len(s.Asked()) != 0 {
		t.Errorf("%v, %s", err, s.Asked())
	}
}

func TestNote_Fails(t *testing.T) {
	s := start(t)
	g := open(t, config(t, s), "")
	failsWith(t, s, g.Note(t.Context(), 7, 999, "blue", "Ready"), "merge request !999 of project 7 has no comment that tells of app blue", "answered 404")
	for _, test := range []struct {
		endpoint string
		fault    gitlabtest.Fault
		says     string
	}{
		{gitlabtest.UserMe, gitlabtest.Fault{Body: `{}`}, "the user has no id"},
		{gitlabtest.NoteList, gitlabtest.Fault{Truncate: true}, "ended after"},
		{gitlabtest.NoteList, gitlabtest.Fault{Body: `{}`}, "answered 200, but"},
		{gitlabtest.NoteCreate, gitlabtest.Fault{Status: 403, Body: `{"error":"insufficient_scope","scope":"api"}`}, "hint: the token needs the scope api"},
		{gitlabtest.NoteCreate, gitlabtest.Fault{Status: 500}, "answered 500"},
	} {
		s.Fail(test.endpoint, test.fault)
		failsWith(t, s, open(t, config(t, s), "").Note(t.Context(), 7, 5, "blue", "Ready"), test.says)
		s.Heal()
	}
	if n := s.Requests()[gitlabtest.NoteCreate]; n != 2 {
		t.Errorf("%d times a note was to be made; one that may have been made is not sent again", n)
	}
}
