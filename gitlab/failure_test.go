package gitlab_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

var html = http.Header{"Content-Type": {"text/html; charset=utf-8"}}

// failures are the ways in which an answer can be none. Each must be an error that
// says what came and who can help.
var failures = []struct {
	name  string
	fault gitlabtest.Fault
	says  []string
}{
	{"slow", gitlabtest.Fault{Hang: true}, []string{"no whole answer in time (gitlab.timeout is 50ms)", "hint: GitLab is down or slow"}},
	{"dropped connection", gitlabtest.Fault{Drop: true}, []string{"the connection ended without an answer: EOF", "hint: GitLab is down or slow"}},
	{"truncated body", gitlabtest.Fault{Truncate: true}, []string{"the answer ended after", "unexpected EOF"}},
	{"whole half of a body", gitlabtest.Fault{Edit: func(b []byte) []byte { return b[:len(b)/2] }}, []string{"answered 200 OK with", "bytes that are not whole JSON"}},
	{"empty body", gitlabtest.Fault{Edit: func([]byte) []byte { return nil }}, []string{"0 bytes that are not whole JSON"}},
	{"more than JSON", gitlabtest.Fault{Edit: func(b []byte) []byte { return append(b, "<!-- proxy -->"...) }}, []string{"not whole JSON"}},
	{"login page", gitlabtest.Fault{Header: html, Body: "<html>Sign in"}, []string{`answered 200 OK with "text/html; charset=utf-8" where JSON is due: <html>Sign in`, "hint: something else than GitLab's API answers there"}},
	{"no content type", gitlabtest.Fault{Header: http.Header{"Content-Type": {"text/plain"}}}, []string{`with "text/plain" where JSON is due`}},
	{"JSON of another kind", gitlabtest.Fault{Body: `"hello"`}, []string{"answered 200, but", "hint: this is not an answer of GitLab"}},
	{"null", gitlabtest.Fault{Body: `null`}, []string{"answered 200, but: it is not", "null"}},
	{"redirect to another host", gitlabtest.Fault{Status: 302, Header: http.Header{"Location": {"https://login.example.net/sso?token=x"}}}, []string{"answered 302 Found", "to https://login.example.net/sso\n", "hint: something else than GitLab's API"}},
	{"400", gitlabtest.Fault{Status: 400, Body: `{"error":"page is invalid"}`}, []string{"answered 400 Bad Request: page is invalid"}},
	{"401", gitlabtest.Fault{Status: 401, Body: `{"message":"401 Unauthorized"}`}, []string{"answered 401 Unauthorized: 401 Unauthorized", "hint: the token in gitlab.token_file is wrong, expired or revoked"}},
	{"expired token", gitlabtest.Fault{Status: 401, Body: `{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}`}, []string{"answered 401 Unauthorized: invalid_token", "expired"}},
	{"403", gitlabtest.Fault{Status: 403, Body: `{"message":"403 Forbidden"}`}, []string{"answered 403 Forbidden", "hint: the token's user needs a role"}},
	{"scope", gitlabtest.Fault{Status: 403, Body: `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api read_api"}`}, []string{"insufficient_scope", "hint: the token needs the scope api"}},
	{"404 of a proxy", gitlabtest.Fault{Status: 404, Header: html, Body: "<h1>Not Found</h1>"}, []string{"answered 404 Not Found: <h1>Not Found</h1>", "gitlab.url is not GitLab's own address"}},
	{"404 of the route", gitlabtest.Fault{Status: 404, Body: `{"error":"404 Not Found"}`}, []string{"answered 404 Not Found: 404 Not Found", "hint: is there such a project"}},
	{"429", gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}, Body: "Retry later"}, []string{"answered 429 Too Many Requests: Retry later", "hint: GitLab limits how often it is asked"}},
	{"429, again and again", gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"0"}}}, []string{"answered 429 Too Many Requests"}},
	{"500", gitlabtest.Fault{Status: 500, Body: `{"message":"500 Internal Server Error"}`}, []string{"answered 500 Internal Server Error", "hint: GitLab is down or slow"}},
	{"502 of a proxy", gitlabtest.Fault{Status: 502, Header: html, Body: "<html>GitLab is not responding"}, []string{"answered 502 Bad Gateway: <html>GitLab is not responding", "hint: GitLab is down or slow"}},
	{"503", gitlabtest.Fault{Status: 503}, []string{"answered 503 Service Unavailable"}},
	{"204", gitlabtest.Fault{Status: 204, Header: http.Header{"Content-Type": nil}}, []string{"answered 204"}},
	{"304 that was not asked for", gitlabtest.Fault{Status: 304}, []string{"answered 304"}},
	{"a page that shows the request", gitlabtest.Fault{Status: 418, Edit: func([]byte) []byte { return []byte("your Private-Token: glpat-a-token-for-tests") }}, []string{"your Private-Token: [token]"}},
}

// listFailures are those of lists, objectFailures those of one thing.
var listFailures = []struct {
	name  string
	fault gitlabtest.Fault
	says  []string
}{
	{"object", gitlabtest.Fault{Body: `{"message":"maintenance"}`}, []string{"answered 200, but", "hint: this is not an answer of GitLab"}},
	{"null item", gitlabtest.Fault{Body: `[null]`, Header: http.Header{"X-Total": nil}}, []string{"one item is null"}},
	{"nameless item", gitlabtest.Fault{Body: `[{}]`, Header: http.Header{"X-Total": nil}}, []string{"as GitLab tells"}},
	{"number for a name", gitlabtest.Fault{Body: `[{"name":7,"source_branch":7}]`}, []string{"cannot unmarshal number"}},
	{"list of lists", gitlabtest.Fault{Body: `[[]]`}, []string{"a list that is not one of objects"}},
}

func TestSurvey_FailsClosed(t *testing.T) {
	t.Parallel()
	endpoints := map[string]string{
		gitlabtest.ProjectOne:      "/projects/7:",
		gitlabtest.BranchList:      "/projects/7/repository/branches?",
		gitlabtest.EnvironmentList: "/projects/7/environments?",
		gitlabtest.MergeRequests:   "/projects/7/merge_requests?",
	}
	for endpoint, path := range endpoints {
		cases := failures
		if endpoint != gitlabtest.ProjectOne {
			cases = append(cases[:len(cases):len(cases)], listFailures...)
		}
		for _, test := range cases {
			t.Run(endpoint+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				s := start(t)
				s.Fail(endpoint, test.fault)
				words := append([]string{"GitLab does not tell what there is of project 7", path}, test.says...)
				if test.name == "nameless item" {
					words = append([]string{"project 7"}, test.says...)
				}
				fails(t, s, words)
			})
		}
	}
}

// fails has a survey fail, and tell nothing.
func fails(t *testing.T, s *gitlabtest.Server, words []string) {
	t.Helper()
	c := config(t, s)
	if strings.Contains(strings.Join(words, ""), "50ms") {
		c.Timeout = 50 * time.Millisecond
	}
	for range 2 { // what is kept does not make it better
		got, err := open(t, c, t.TempDir()).Survey(t.Context(), review.Query{ProjectID: 7})
		failsWith(t, s, err, words...)
		if diff := cmp.Diff(review.Survey{}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSurvey_ProjectThatIsNotTheOne(t *testing.T) {
	for name, body := range map[string]string{
		"no id":               `{"archived":true}`,
		"id of another":       `{"id":8}`,
		"id that is a string": `{"id":"7"}`,
		"list":                `[]`,
		"list of it":          `[{"id":7}]`,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.ProjectOne, gitlabtest.Fault{Body: body})
			fails(t, s, []string{"/projects/7: answered 200, but"})
		})
	}
}

func TestSurvey_ItemsThatCannotBe(t *testing.T) {
	noTotal := http.Header{"X-Total": nil}
	for _, test := range []struct{ name, endpoint, body, says string }{
		{"environment without a state", gitlabtest.EnvironmentList, `[{"id":1,"name":"a"}]`, `environment "a" of project 7, as GitLab tells it, is in no state`},
		{"environment without a name", gitlabtest.EnvironmentList, `[{"id":1,"state":"available"}]`, "has no name"},
		{"environment without an id", gitlabtest.EnvironmentList, `[{"name":"a","state":"available"}]`, "has no id"},
		{"environment with an odd time", gitlabtest.EnvironmentList, `[{"id":1,"name":"a","state":"available","auto_stop_at":"soon"}]`, "parsing time"},
		{"merge request of another project", gitlabtest.MergeRequests, `[{"iid":1,"project_id":8,"source_branch":"a","state":"opened"}]`, "is of project 8"},
		{"merge request without a number", gitlabtest.MergeRequests, `[{"project_id":7,"source_branch":"a","state":"opened"}]`, "has no number"},
		{"merge request without a branch", gitlabtest.MergeRequests, `[{"iid":1,"project_id":7,"state":"opened"}]`, "has no branch"},
		{"merge request in an odd state", gitlabtest.MergeRequests, `[{"iid":1,"project_id":7,"source_branch":"a","state":"gone"}]`, `in no state that there is: "gone"`},
		{"merge request that ended at no time", gitlabtest.MergeRequests, `[{"iid":1,"project_id":7,"source_branch":"a","state":"closed"}]`, "is closed and has no time"},
		{"branch without a name", gitlabtest.BranchList, `[{"name":""}]`, "has no name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.Fail(test.endpoint, gitlabtest.Fault{Body: test.body, Header: noTotal})
			fails(t, s, []string{test.says, "project 7"})
		})
	}
}

// TestSurvey_PageThatIsLost has the second page of a list come to nothing.
func TestSurvey_PageThatIsLost(t *testing.T) {
	for _, test := range []struct {
		name, endpoint string
		fault          gitlabtest.Fault
		says           []string
	}{
		{"empty", gitlabtest.EnvironmentList, gitlabtest.Fault{Skip: 1, Empty: true}, []string{"environments?page=2", "page 2 is empty, and the page before said that there is more"}},
		{"empty, and no more counted", gitlabtest.EnvironmentList, gitlabtest.Fault{Skip: 1, Empty: true, Header: http.Header{"X-Total": nil}}, []string{"page 2 is empty"}},
		{"empty branches", gitlabtest.BranchList, gitlabtest.Fault{Skip: 1, Times: 1, Empty: true, Header: http.Header{"Link": nil}}, []string{"there are 150 branches, of which it told 100"}},
		{"empty, and the count too", gitlabtest.BranchList, gitlabtest.Fault{Skip: 1, Empty: true, Header: http.Header{"Link": nil, "X-Total": nil}}, []string{"there are 0 branches, of which it told 100"}},
		{"fails", gitlabtest.BranchList, gitlabtest.Fault{Skip: 1, Status: 500}, []string{"page_token=", "answered 500"}},
		{"cut short", gitlabtest.MergeRequests, gitlabtest.Fault{Skip: 1, Truncate: true}, []string{"merge_requests?page=2", "ended after"}},
		{"less than counted", gitlabtest.EnvironmentList, gitlabtest.Fault{Header: http.Header{"X-Next-Page": nil, "Link": nil}}, []string{"it changes while it is read: 100 items of 150"}},
		{"goes round", gitlabtest.BranchList, gitlabtest.Fault{Header: http.Header{"Link": {`<http://x/?page_token=a>; rel="next"`}}}, []string{"comes the same page"}},
		{"goes back", gitlabtest.EnvironmentList, gitlabtest.Fault{Header: http.Header{"X-Next-Page": {"1"}}}, []string{"after page 1 comes page 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.Change(7, func(p *gitlabtest.Project) {
				p.Branches, p.Environments, p.MergeRequests = nil, nil, nil
				for i := range 150 {
					p.Branches = append(p.Branches, fmt.Sprintf("b%03d", i))
					p.Environments = append(p.Environments, gitlabtest.Environment{Name: fmt.Sprintf("review/%d", i)})
					p.MergeRequests = append(p.MergeRequests, gitlabtest.MergeRequest{IID: int64(i + 1), Branch: "b"})
				}
			})
			s.Fail(test.endpoint, test.fault)
			got, err := open(t, config(t, s), t.TempDir()).Survey(t.Context(), review.Query{ProjectID: 7})
			failsWith(t, s, err, test.says...)
			if diff := cmp.Diff(review.Survey{}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSurvey_ListThatChangesIsReadAgain has an environment go between two pages.
func TestSurvey_ListThatChangesIsReadAgain(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) {
		p.Environments = nil
		for i := range 150 {
			p.Environments = append(p.Environments, gitlabtest.Environment{Name: fmt.Sprintf("review/%d", i)})
		}
	})
	s.Fail(gitlabtest.EnvironmentList, gitlabtest.Fault{Times: 1, Edit: func(body []byte) []byte {
		go s.Change(7, func(p *gitlabtest.Project) { p.Environments[0].State = "stopped" })
		for len(s.Project(7).Environments) == 150 && s.Project(7).Environments[0].State != "stopped" {
			time.Sleep(time.Millisecond)
		}
		return body
	}})
	got := survey(t, s, review.Query{ProjectID: 7})
	if _, there := got.Environments["review/100"]; !there || len(got.Environments) != 149 {
		t.Errorf("%d environments, the first of the second page: %v", len(got.Environments), there)
	}
}

// TestSurvey_EmptyListsAreAnswers leaves it to the lifecycle to wonder.
func TestSurvey_EmptyListsAreAnswers(t *testing.T) {
	s := start(t)
	for _, endpoint := range []string{gitlabtest.BranchList, gitlabtest.EnvironmentList, gitlabtest.MergeRequests} {
		s.Fail(endpoint, gitlabtest.Fault{Empty: true, Header: http.Header{"X-Total": {"0"}}})
	}
	got := survey(t, s, review.Query{ProjectID: 7})
	if len(got.Branches)+len(got.Environments)+len(got.MergeRequests) != 0 {
		t.Errorf("%+v", got)
	}
	s.Fail(gitlabtest.EnvironmentList, gitlabtest.Fault{Empty: true, Header: http.Header{"X-Total": nil}})
	if got, err := open(t, config(t, s), "").Survey(t.Context(), review.Query{ProjectID: 7}); err == nil {
		t.Errorf("an empty list of which GitLab tells nothing: %+v", got)
	}
}

// TestSurvey_TriesAgain has each of GitLab's fits pass.
func TestSurvey_TriesAgain(t *testing.T) {
	for name, fault := range map[string]gitlabtest.Fault{
		"429":       {Times: 2, Status: 429, Header: http.Header{"Retry-After": {"0"}}},
		"500":       {Times: 3, Status: 500},
		"502":       {Times: 1, Status: 502},
		"dropped":   {Times: 2, Drop: true},
		"truncated": {Times: 1, Truncate: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.BranchList, fault)
			if got := survey(t, s, review.Query{ProjectID: 7}); len(got.Branches) != 3 {
				t.Errorf("%+v", got)
			}
			if n := s.Requests()[gitlabtest.BranchList]; n != fault.Times+1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestSurvey_TriesOnlySoOften bounds what a GitLab in trouble is burdened with.
func TestSurvey_TriesOnlySoOften(t *testing.T) {
	for name, test := range map[string]struct {
		fault gitlabtest.Fault
		times int
	}{
		"429":                      {gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"0"}}}, 4},
		"429 for longer than wise": {gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"31"}}}, 1},
		"503":                      {gitlabtest.Fault{Status: 503}, 4},
		"503 for long":             {gitlabtest.Fault{Status: 503, Header: http.Header{"Retry-After": {"3600"}}}, 1},
		"401":                      {gitlabtest.Fault{Status: 401}, 1},
		"login page":               {gitlabtest.Fault{Header: html, Body: "<html>"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.ProjectOne, test.fault)
			if _, err := open(t, config(t, s), "").Survey(t.Context(), review.Query{ProjectID: 7}); err == nil {
				t.Error("no error")
			}
			if n := s.Requests()[gitlabtest.ProjectOne]; n != test.times {
				t.Errorf("asked %d times, not %d", n, test.times)
			}
		})
	}
}

func TestSurvey_NobodyThere(t *testing.T) {
	s := start(t)
	c := config(t, s)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c.URL = gone.URL
	_, err := open(t, c, "").Survey(t.Context(), review.Query{ProjectID: 7})
	failsWith(t, s, err, "/api/v4/projects/7: dial tcp", "connection refused", "hint: GitLab is down or slow")

	secure := httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes
	secure.StartTLS()
	t.Cleanup(secure.Close)
	c.URL = secure.URL
	_, err = open(t, c, "").Survey(t.Context(), review.Query{ProjectID: 7})
	failsWith(t, s, err, "certificate", "hint: this host does not trust GitLab's certificate")
	if n := len(s.Asked()); n != 0 {
		t.Errorf("the token was sent %d times to who could not prove to be GitLab", n)
	}
}

// TestToken_GoesNowhereElse follows no redirect, not even to the same host.
func TestToken_GoesNowhereElse(t *testing.T) {
	s := start(t)
	var asked int
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++ }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.Fail(gitlabtest.All, gitlabtest.Fault{Status: status, Header: http.Header{"Location": {other.URL + "/api/v4/projects/7"}}})
		_, err := open(t, config(t, s), "").Survey(t.Context(), review.Query{ProjectID: 7})
		failsWith(t, s, err, fmt.Sprintf("answered %d", status), "to "+other.URL)
	}
	if asked != 0 {
		t.Errorf("the other host was asked %d times", asked)
	}
}
