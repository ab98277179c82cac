package gitlab_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

var anyOrder = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.SortSlices(func(a, b review.MergeRequest) bool { return a.Number < b.Number }),
}

func survey(t *testing.T, s *gitlabtest.Server, query review.Query) review.Survey {
	t.Helper()
	got, err := open(t, config(t, s), "").Survey(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSurvey_TellsWhatThereIs(t *testing.T) {
	s := start(t)
	now := time.Now().UTC().Truncate(time.Second)
	s.Change(7, func(p *gitlabtest.Project) {
		p.Environments[0].AutoStop = now.Add(time.Hour)
		p.MergeRequests = append(p.MergeRequests,
			gitlabtest.MergeRequest{IID: 1, Branch: "old", State: "merged", Merged: now.Add(-100 * time.Hour), Updated: now.Add(-100 * time.Hour)},
			gitlabtest.MergeRequest{IID: 2, Branch: "still", Updated: now.Add(-100 * time.Hour)},
			gitlabtest.MergeRequest{IID: 3, Branch: "done", State: "merged", Merged: now.Add(-time.Minute), Updated: now},
			gitlabtest.MergeRequest{IID: 4, Branch: "dropped", State: "closed", Closed: now.Add(-time.Minute), Updated: now},
			gitlabtest.MergeRequest{IID: 8, Branch: "imported", State: "merged", Updated: now},
			gitlabtest.MergeRequest{IID: 9, Branch: "too long ago", State: "closed", Closed: now.Add(-time.Hour), Updated: now.Add(-11 * time.Minute)},
		)
	})
	want := review.Survey{
		Branches:     map[string]bool{"main": true, "feature/blue": true, "feature/red": true},
		Environments: map[string]review.ForgeEnvironment{"review/blue": {State: "available", AutoStop: now.Add(time.Hour), Updated: changed}},
		MergeRequests: []review.MergeRequest{
			{Number: 3, Branch: "done", State: "merged", Ended: now.Add(-time.Minute)},
			{Number: 4, Branch: "dropped", State: "closed", Ended: now.Add(-time.Minute)},
			{Number: 5, Branch: "feature/blue", State: "opened"},
			{Number: 6, Branch: "feature/red", State: "opened", Fork: true},
			{Number: 8, Branch: "imported", State: "merged", Ended: now},
		},
	}
	got := survey(t, s, review.Query{ProjectID: 7, Since: now.Add(-10 * time.Minute)})
	if diff := cmp.Diff(want, got, anyOrder); diff != "" {
		t.Error(diff)
	}
	if asked := s.Asked(); len(asked) != 4 {
		t.Errorf("%d requests: %s", len(asked), asked)
	}
}

func TestSurvey_ReadsEveryPage(t *testing.T) {
	for _, count := range []int{0, 1, 99, 100, 101, 200, 250} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			s := start(t)
			s.Change(7, func(p *gitlabtest.Project) {
				p.Branches, p.Environments, p.MergeRequests = nil, nil, nil
				for i := range count {
					p.Branches = append(p.Branches, fmt.Sprintf("b%d", i))
					p.Environments = append(p.Environments, gitlabtest.Environment{Name: fmt.Sprintf("review/%d", i)})
					p.MergeRequests = append(p.MergeRequests, gitlabtest.MergeRequest{IID: int64(i + 1), Branch: fmt.Sprintf("b%d", i)})
				}
			})
			got := survey(t, s, review.Query{ProjectID: 7})
			if len(got.Branches) != count || len(got.Environments) != count || len(got.MergeRequests) != count {
				t.Errorf("%d branches, %d environments, %d merge requests", len(got.Branches), len(got.Environments), len(got.MergeRequests))
			}
		})
	}
}

func TestSurvey_ProjectThatIsNotToBeSeen(t *testing.T) {
	for _, test := range []struct {
		name string
		user gitlabtest.User
		want review.Survey
	}{
		{"by a user", gitlabtest.User{ID: 77}, review.Survey{Missing: true}},
		{"by an administrator", gitlabtest.User{ID: 77, Admin: true, AdminMode: true}, review.Survey{Missing: true, SeesAll: true}},
		{"by an administrator without admin mode", gitlabtest.User{ID: 77, Admin: true}, review.Survey{Missing: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.SetUser(test.user)
			g := open(t, config(t, s), "")
			for range 2 {
				got, err := g.Survey(t.Context(), review.Query{ProjectID: 8})
				if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
					t.Errorf("%v\n%s", err, diff)
				}
			}
			if n := s.Requests()[gitlabtest.UserMe]; n != 1 {
				t.Errorf("asked %d times for the user", n)
			}
		})
	}
	s := start(t)
	survey(t, s, review.Query{ProjectID: 7})
	if n := s.Requests()[gitlabtest.UserMe]; n != 0 {
		t.Error("asked for the user though the project is there")
	}
}

func TestSurvey_ClosedProject(t *testing.T) {
	for name, change := range map[string]func(*gitlabtest.Project){
		"archived":            func(p *gitlabtest.Project) { p.Archived = true },
		"marked for deletion": func(p *gitlabtest.Project) { p.DeletionOn = "2026-03-09" },
	} {
		s := start(t)
		s.Change(7, change)
		if got := survey(t, s, review.Query{ProjectID: 7}); !got.Closed || got.Missing || len(got.Branches) != 3 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// oddNames are of branches and environments that Git and GitLab allow, or nearly so.
var oddNames = []string{
	"feature/blue", "a/b/c", "ünïcode/名前", `quo"te's`, "a b", "100%", "%2F", "a+b", "a&b=c", "what?", "hash#tag", "semi;colon",
	"dot.ted", ".well", "a..b", "-rf", "{x}", "<b>", "@{u", "back\\slash", "tab\tbed", "a//b",
}

func TestSurvey_OneAppByName(t *testing.T) {
	for _, name := range oddNames {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Change(7, func(p *gitlabtest.Project) {
				p.Branches = append(p.Branches, name)
				p.Environments = append(p.Environments, gitlabtest.Environment{Name: name, State: "stopping", Updated: changed})
				p.MergeRequests = append(p.MergeRequests, gitlabtest.MergeRequest{IID: 30, Branch: name}, gitlabtest.MergeRequest{IID: 31, Branch: "another"})
			})
			app := review.Source{Branch: name, Environment: name, MergeRequest: 31}
			got := survey(t, s, review.Query{ProjectID: 7, App: &app})
			want := review.Survey{
				Branches:     map[string]bool{name: true},
				Environments: map[string]review.ForgeEnvironment{name: {State: "stopping", Updated: changed}},
				MergeRequests: []review.MergeRequest{
					{Number: 30, Branch: name, State: "opened"},
					{Number: 31, Branch: "another", State: "opened"},
				},
			}
			if name == "feature/blue" {
				want.MergeRequests = append(want.MergeRequests, review.MergeRequest{Number: 5, Branch: name, State: "opened"})
			}
			if diff := cmp.Diff(want, got, anyOrder); diff != "" {
				t.Error(diff)
			}
			s.Change(7, func(p *gitlabtest.Project) {
				p.Branches = slices.DeleteFunc(p.Branches, func(b string) bool { return b == name })
				p.Environments = p.Environments[:0]
				p.MergeRequests = nil
			})
			gone := survey(t, s, review.Query{ProjectID: 7, App: &app})
			if len(gone.Branches)+len(gone.Environments)+len(gone.MergeRequests) != 0 || gone.Missing {
				t.Errorf("gone, and still %+v", gone)
			}
		})
	}
}

func TestSurvey_OneAppAsksForNothingElse(t *testing.T) {
	s := start(t)
	got := survey(t, s, review.Query{ProjectID: 7, App: &review.Source{Environment: "review/red"}})
	if diff := cmp.Diff(map[string]review.ForgeEnvironment{"review/red": {State: "stopped", Updated: changed}}, got.Environments); diff != "" || len(got.Branches)+len(got.MergeRequests) != 0 {
		t.Errorf("%+v", got)
	}
	if asked := s.Asked(); len(asked) != 2 {
		t.Errorf("asked %s", asked)
	}
}

// TestSurvey_BranchIsGoneOnlyIfGitLabSaysSo has a 404 come from elsewhere.
func TestSurvey_BranchIsGoneOnlyIfGitLabSaysSo(t *testing.T) {
	for name, fault := range map[string]gitlabtest.Fault{
		"the project":    {Status: 404, Body: `{"message":"404 Project Not Found"}`},
		"the repository": {Status: 404, Body: `{"message":"404 Repository Not Found"}`},
		"the route":      {Status: 404, Body: `{"error":"404 Not Found"}`},
		"a proxy":        {Status: 404, Body: `<h1>404 Branch Not Found</h1>`, Header: http.Header{"Content-Type": {"text/html"}}},
		"another branch": {Status: 200, Body: `{"name":"FEATURE/BLUE"}`},
		"no branch":      {Status: 200, Body: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.BranchOne, fault)
			got, err := open(t, config(t, s), "").Survey(t.Context(), review.Query{ProjectID: 7, App: &review.Source{Branch: "feature/blue"}})
			failsWith(t, s, err, "GitLab does not tell what there is of project 7", "GET "+s.URL+"/api/v4/projects/7/repository/branches/feature%2Fblue", "hint: ")
			if diff := cmp.Diff(review.Survey{}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSurvey_BelowASubPath(t *testing.T) {
	s := start(t)
	outer := httptest.NewServer(http.StripPrefix("/git/lab", s))
	t.Cleanup(outer.Close)
	for _, address := range []string{"/git/lab", "/git/lab/"} {
		c := config(t, s)
		c.URL = outer.URL + address
		got, err := open(t, c, "").Survey(t.Context(), review.Query{ProjectID: 7, App: &review.Source{Branch: "feature/blue"}})
		if err != nil || !got.Branches["feature/blue"] {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestSurvey_CancelledSaysSo(t *testing.T) {
	s := start(t)
	s.Fail(gitlabtest.All, gitlabtest.Fault{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := open(t, config(t, s), "").Survey(ctx, review.Query{ProjectID: 7})
		done <- err
	}()
	for len(s.Asked()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	err := <-done
	failsWith(t, s, err, "was broken off")
	if !strings.Contains(fmt.Sprint(err), "project 7") {
		t.Error(err)
	}
}
