package gitlab_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

// FuzzAnswers has GitLab answer anything. Nothing but an error may come of what is
// no whole list of branches.
func FuzzAnswers(f *testing.F) {
	for _, kind := range []string{"project", "branch", "environment", "merge_request"} {
		f.Add(gitlabtest.Example(kind), 200)
		f.Add(append(append([]byte("["), gitlabtest.Example(kind)...), ']'), 200)
	}
	for _, body := range []string{"[]", "{}", "null", "[null]", `[{"name":""}]`, "[[", `{"message":"404 Branch Not Found"}`, "\xff", `[{"name":"a"},{"name":"a"}]`} {
		f.Add([]byte(body), 200)
		f.Add([]byte(body), 404)
	}
	s := gitlabtest.New()
	f.Cleanup(s.Close)
	s.Set(gitlabtest.Project{ID: 7, Path: "group/shop", Branches: []string{"main"}})
	g := open(f, config(f, s), "")
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		if status < 200 || status > 599 || status == 429 || status >= 500 { // those are tried again
			status = 200
		}
		edit := func([]byte) []byte { return body }
		for _, endpoint := range []string{gitlabtest.ProjectOne, gitlabtest.BranchList, gitlabtest.EnvironmentList, gitlabtest.MergeRequests, gitlabtest.BranchOne, gitlabtest.MemberOne} {
			s.Heal()
			s.Fail(endpoint, gitlabtest.Fault{Status: status, Edit: edit, Header: http.Header{"Content-Length": nil, "X-Total": nil}})
			got, err := g.Survey(t.Context(), review.Query{ProjectID: 7})
			if err != nil && cmp.Diff(review.Survey{}, got) != "" {
				t.Errorf("%s: %v and yet %+v", endpoint, err, got)
			}
			list := endpoint == gitlabtest.BranchList || endpoint == gitlabtest.EnvironmentList || endpoint == gitlabtest.MergeRequests
			if err == nil && list && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
				t.Errorf("%s: %q is a list", endpoint, body)
			}
			app, err := g.Survey(t.Context(), review.Query{ProjectID: 7, App: &review.Source{Branch: "main"}})
			if err == nil && endpoint == gitlabtest.BranchOne && !app.Branches["main"] && !strings.Contains(strings.ToLower(string(body)), "branch not found") {
				t.Errorf("%q says that there is no branch", body)
			}
			if level, err := g.AccessLevel(t.Context(), 7, 12); err == nil && level > 60 {
				t.Errorf("level %d", level)
			}
		}
	})
}

// FuzzNames has branches and environments of any name. What is asked for must be
// that very one, and nothing else.
func FuzzNames(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	s := gitlabtest.New()
	f.Cleanup(s.Close)
	g := open(f, config(f, s), "")
	f.Fuzz(func(t *testing.T, name string) {
		s.Set(gitlabtest.Project{
			ID: 7, Path: "group/shop", Branches: []string{name, "main"},
			Environments: []gitlabtest.Environment{{Name: name}, {Name: "other"}},
		})
		s.Reset()
		got, err := g.Survey(t.Context(), review.Query{ProjectID: 7, App: &review.Source{Branch: name, Environment: name}})
		for _, asked := range s.Asked() {
			if !strings.HasPrefix(asked, "GET /api/v4/projects/7") {
				t.Errorf("%q asks %s", name, asked)
			}
		}
		if err != nil {
			return // of a name that is no text
		}
		for branch := range got.Branches {
			if branch != name {
				t.Errorf("%q found the branch %q", name, branch)
			}
		}
		for environment := range got.Environments {
			if environment != name {
				t.Errorf("%q found the environment %q", name, environment)
			}
		}
	})
}
