package gitlab_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

// changed is when the environments were.
var changed = time.Date(2026, 3, 2, 9, 21, 0, 0, time.UTC)

// start runs a GitLab that has project 7.
func start(t testing.TB) *gitlabtest.Server {
	t.Helper()
	s := gitlabtest.New()
	t.Cleanup(s.Close)
	s.Set(gitlabtest.Project{
		ID: 7, Path: "group/shop",
		Branches:     []string{"main", "feature/blue", "feature/red"},
		Environments: []gitlabtest.Environment{{ID: 41, Name: "review/blue", Updated: changed}, {ID: 42, Name: "review/red", State: "stopped", Updated: changed}},
		MergeRequests: []gitlabtest.MergeRequest{
			{IID: 5, Branch: "feature/blue"},
			{IID: 6, Branch: "feature/red", Source: 9},
		},
		Members: []gitlabtest.Member{{UserID: 12, Level: 30}},
	})
	return s
}

// config is for the server, with its token in a file.
func config(t testing.TB, s *gitlabtest.Server) gitlab.Config {
	t.Helper()
	c := gitlab.Defaults()
	c.URL, c.TokenFile, c.Notes = s.URL, filepath.Join(t.TempDir(), "token"), true
	if err := os.WriteFile(c.TokenFile, []byte(s.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// open keeps nothing between calls if dir is "".
func open(t testing.TB, c gitlab.Config, dir string) *gitlab.GitLab {
	t.Helper()
	g, err := gitlab.New(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// failsWith holds an error to its words, and to never telling the token.
func failsWith(t *testing.T, s *gitlabtest.Server, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := review.AsFailure(err).Text()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("the error does not say %q:\n%s", word, text)
		}
	}
	if strings.Contains(text, s.Token) {
		t.Errorf("the error tells the token:\n%s", text)
	}
}
