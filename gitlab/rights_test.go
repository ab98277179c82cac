package gitlab_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

func TestRights(t *testing.T) {
	s := start(t)
	s.SetToken("2026-12-24", "read_api", "self_rotate")
	got, err := open(t, config(t, s), "").Rights(t.Context())
	if err != nil || !slices.Equal(got.Scopes, []string{"read_api", "self_rotate"}) || got.Expires.Format(time.DateOnly) != "2026-12-24" || got.Date.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	s.SetToken("", "api")
	if got, err = open(t, config(t, s), "").Rights(t.Context()); err != nil || !got.Expires.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

// A GitLab that does not know the question is asked another, which a wrong token fails.
func TestRights_OfAnOldGitLab(t *testing.T) {
	s := start(t)
	s.Fail(gitlabtest.TokenSelf, gitlabtest.Fault{Status: 404, Body: `{"message":"404 Personal Access Token Not Found"}`})
	if got, err := open(t, config(t, s), "").Rights(t.Context()); err != nil || got.Scopes != nil || got.Date.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	s.Fail(gitlabtest.UserMe, gitlabtest.Fault{Status: 401})
	_, err := open(t, config(t, s), "").Rights(t.Context())
	failsWith(t, s, err, "GitLab does not tell what the token may do", "answered 401", "hint: the token")
}

func TestRights_CannotBeKnown(t *testing.T) {
	for name, test := range map[string]struct {
		fault gitlabtest.Fault
		says  string
	}{
		"401":            {gitlabtest.Fault{Status: 401}, "hint: the token"},
		"404 of a proxy": {gitlabtest.Fault{Status: 404, Body: "<h1>", Header: html}, "answered 404"},
		"no scopes":      {gitlabtest.Fault{Body: `{"id":4}`}, "it has no scopes"},
		"a list":         {gitlabtest.Fault{Body: `[]`}, "answered 200, but"},
		"429":            {gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"99"}}}, "answered 429"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.TokenSelf, test.fault)
			_, err := open(t, config(t, s), "").Rights(t.Context())
			failsWith(t, s, err, "GitLab does not tell what the token may do", test.says)
		})
	}
}
