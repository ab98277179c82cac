package gitlabtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gl "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

// kinds are the answers that there are: client-go's type, and the fields that GitLab
// documents and that client-go does not know.
var kinds = []struct {
	name    string
	value   func() any
	unknown []string
}{
	{"project", func() any { return new(gl.Project) }, []string{"description_html", "repository_object_format", "warn_about_potentially_unwanted_characters"}},
	{"branch", func() any { return new(gl.Branch) }, nil},
	{"environment", func() any { return new(gl.Environment) }, []string{"enable_advanced_logs_querying", "logs_api_path"}},
	{"merge_request", func() any { return new(gl.BasicMergeRequest) }, []string{"approvals_before_merge", "merge_status", "reference", "work_in_progress"}},
	{"member", func() any { return new(gl.ProjectMember) }, []string{"group_saml_identity", "membership_state"}},
	{"note", func() any { return new(gl.Note) }, []string{"author.created_at", "imported", "imported_from"}},
	{"job", func() any { return new(gl.Job) }, []string{"archived", "runner_manager", "source"}},
	{"token", func() any { return new(gl.PersonalAccessToken) }, nil},
	{"user", func() any { return new(gl.User) }, []string{"commit_email", "discord", "followers", "following", "github", "local_time", "preferred_language", "pronouns", "work_information"}},
	{"user_admin", func() any { return new(gl.User) }, []string{"email_reset_offered_at", "enterprise_group_associated_at", "enterprise_group_id", "plan", "provisioned_by_group_id", "sign_in_count", "trial"}},
}

// TestExamples_AreWhatClientGoDecodes decodes each documented answer without a field
// that is unknown, but for those that are listed.
func TestExamples_AreWhatClientGoDecodes(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			var example map[string]any
			if err := json.Unmarshal(gitlabtest.Example(kind.name), &example); err != nil {
				t.Fatal(err)
			}
			if err := strict(example, kind.value()); (err != nil) != (kind.unknown != nil) {
				t.Errorf("with all fields: %v", err)
			}
			for _, field := range kind.unknown {
				part, name := example, field
				if outer, inner, nested := strings.Cut(field, "."); nested {
					part, name = example[outer].(map[string]any), inner
				}
				if _, documented := part[name]; !documented {
					t.Errorf("the example has no %s", field)
				}
				delete(part, name)
			}
			if err := strict(example, kind.value()); err != nil {
				t.Error(err)
			}
		})
	}
}

func strict(example any, into any) error {
	data, err := json.Marshal(example)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func start(t *testing.T) *gitlabtest.Server {
	t.Helper()
	s := gitlabtest.New()
	t.Cleanup(s.Close)
	s.Set(gitlabtest.Project{
		ID: 7, Path: "group/shop", Branches: []string{"main", "feature/blue"},
		Environments:  []gitlabtest.Environment{{ID: 41, Name: "review/blue"}},
		MergeRequests: []gitlabtest.MergeRequest{{IID: 5, Branch: "feature/blue", Notes: []gitlabtest.Note{{ID: 901, Body: "hello"}}}},
		Members:       []gitlabtest.Member{{UserID: 12, Level: 30}},
		Jobs:          []gitlabtest.Job{{ID: 4711, User: 12}},
	})
	return s
}

// ask sends a request with the token and, if there is one, a body.
func ask(t *testing.T, s *gitlabtest.Server, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+"/api/v4/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Private-Token", s.Token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// TestServer_AnswersHaveEveryDocumentedField compares the fields of each endpoint's
// answer with those of the example, and decodes it.
func TestServer_AnswersHaveEveryDocumentedField(t *testing.T) {
	s := start(t)
	s.SetUser(gitlabtest.User{ID: 77, Admin: true, AdminMode: true})
	for _, endpoint := range []struct{ method, path, body, kind string }{
		{"GET", "projects/7", "", "project"},
		{"GET", "projects/7/repository/branches", "", "branch"},
		{"GET", "projects/7/repository/branches?pagination=keyset", "", "branch"},
		{"GET", "projects/7/repository/branches/feature%2Fblue", "", "branch"},
		{"GET", "projects/7/environments", "", "environment"},
		{"POST", "projects/7/environments/41/stop", `{"force":true}`, "environment"},
		{"GET", "projects/7/merge_requests", "", "merge_request"},
		{"GET", "projects/7/merge_requests/5/notes", "", "note"},
		{"POST", "projects/7/merge_requests/5/notes", `{"body":"ready"}`, "note"},
		{"PUT", "projects/7/merge_requests/5/notes/901", `{"body":"ready"}`, "note"},
		{"GET", "projects/7/members/all/12", "", "member"},
		{"GET", "personal_access_tokens/self", "", "token"},
		{"GET", "projects/7/jobs/4711", "", "job"},
		{"GET", "user", "", "user"},
		{"GET", "users/77", "", "user"},
	} {
		t.Run(endpoint.method+" "+endpoint.path, func(t *testing.T) {
			resp, body := ask(t, s, endpoint.method, endpoint.path, endpoint.body)
			if resp.StatusCode >= 300 {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			var got map[string]any
			if strings.HasPrefix(body, "[") {
				body = strings.TrimSuffix(strings.TrimPrefix(body, "["), "]")
				body = body[:balanced(body)]
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{}
			for _, kind := range []string{endpoint.kind, map[string]string{"user": "user_admin"}[endpoint.kind]} {
				if kind != "" {
					if err := json.Unmarshal(gitlabtest.Example(kind), &want); err != nil {
						t.Fatal(err)
					}
				}
			}
			if diff := cmp.Diff(fieldsOf(want), fieldsOf(got)); diff != "" {
				t.Errorf("documented and answered:\n%s", diff)
			}
			for _, kind := range kinds {
				if kind.name == endpoint.kind {
					if err := json.Unmarshal([]byte(body), kind.value()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// balanced is where the first object of a list ends.
func balanced(text string) int {
	decoder := json.NewDecoder(strings.NewReader(text))
	var first json.RawMessage
	if decoder.Decode(&first) != nil {
		return 0
	}
	return int(decoder.InputOffset())
}

// fieldsOf lists the names of fields; objects may be null, so only the outermost count.
func fieldsOf(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

// TestServer_RefusesWhatItDoesNotKnow holds tests to what GitLab has.
func TestServer_RefusesWhatItDoesNotKnow(t *testing.T) {
	s := start(t)
	for _, refused := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "projects/8", "", 404, "404 Project Not Found"},
		{"GET", "projects/8/repository/branches/main", "", 404, "404 Project Not Found"},
		{"GET", "projects/7/repository/branches/none", "", 404, "404 Branch Not Found"},
		{"GET", "projects/7/repository/branches/feature/blue", "", 404, `{"error":"404 Not Found"}`},
		{"GET", "projects/7/members/all/13", "", 404, "404 Not found"},
		{"GET", "projects/7/pipelines", "", 404, `{"error":"404 Not Found"}`},
		{"DELETE", "projects/7", "", 404, `{"error":"404 Not Found"}`},
		{"GET", "projects/7/environments?state=available", "", 400, "state is unknown"},
		{"GET", "projects/7/environments?states=running", "", 400, "states does not have a valid value"},
		{"GET", "projects/7/merge_requests?state=open", "", 400, "state does not have a valid value"},
		{"GET", "projects/7/merge_requests?page=0", "", 400, "page does not have a valid value"},
		{"GET", "projects/7?name=x", "", 400, "name is unknown"},
		{"POST", "projects/7/environments/41/stop", `{"forced":true}`, 400, "unknown field"},
		{"POST", "projects/7/merge_requests/5/notes", "", 400, "body is missing"},
		{"PUT", "projects/7/merge_requests/5/notes/902", `{"body":"x"}`, 404, "404 Not found"},
		{"GET", "users/78", "", 404, "404 User Not Found"},
	} {
		resp, body := ask(t, s, refused.method, refused.path, refused.body)
		if resp.StatusCode != refused.status || !strings.Contains(body, refused.says) {
			t.Errorf("%s %s: %s %s", refused.method, refused.path, resp.Status, body)
		}
	}
	if resp, body := ask(t, s, "GET", "projects/7", "", "Private-Token", "another"); resp.StatusCode != 401 || !strings.Contains(body, "401 Unauthorized") {
		t.Errorf("with another token: %s %s", resp.Status, body)
	}
}

func TestServer_PagesHaveGitLabsHeaders(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) {
		p.Branches = append(p.Branches, "a", "b", "c")
	})
	resp, _ := ask(t, s, "GET", "projects/7/repository/branches?per_page=2&page=2", "")
	want := map[string]string{"X-Total": "5", "X-Total-Pages": "3", "X-Per-Page": "2", "X-Page": "2", "X-Next-Page": "3", "X-Prev-Page": "1"}
	for name, value := range want {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s is %q, not %q", name, got, value)
		}
	}
	if link := resp.Header.Get("Link"); !strings.Contains(link, `page=3&per_page=2>; rel="next"`) || !strings.Contains(link, `rel="prev"`) || !strings.Contains(link, `rel="last"`) {
		t.Errorf("Link is %s", link)
	}
	resp, _ = ask(t, s, "GET", "projects/7/repository/branches?per_page=2&page=3", "")
	if next, there := resp.Header["X-Next-Page"]; !there || next[0] != "" {
		t.Errorf("the last page's next is %q", next)
	}
	resp, body := ask(t, s, "GET", "projects/7/repository/branches?per_page=3&pagination=keyset&page_token=b", "")
	if link := resp.Header.Get("Link"); !strings.Contains(link, "page_token=main") || !strings.Contains(link, `rel="next"`) || resp.Header.Get("X-Total") != "" {
		t.Errorf("Link is %s of\n%s", link, body)
	}
}

func TestServer_ETagsAnswerNotModified(t *testing.T) {
	s := start(t)
	resp, _ := ask(t, s, "GET", "projects/7/environments", "")
	etag := resp.Header.Get("ETag")
	resp, body := ask(t, s, "GET", "projects/7/environments", "", "If-None-Match", etag)
	if resp.StatusCode != 304 || body != "" || resp.Header.Get("X-Total") != "1" || s.NotModified() != 1 {
		t.Errorf("%s %q %v", resp.Status, body, resp.Header)
	}
	s.Change(7, func(p *gitlabtest.Project) { p.Environments[0].State = "stopped" })
	if resp, _ := ask(t, s, "GET", "projects/7/environments", "", "If-None-Match", etag); resp.StatusCode != 200 {
		t.Errorf("changed: %s", resp.Status)
	}
	if got := s.Requests(); got[gitlabtest.EnvironmentList] != 3 {
		t.Errorf("counted %v", got)
	}
}

// TestServer_IsQuicklySetUp has what the benchmark of sync asks for.
func TestServer_IsQuicklySetUp(t *testing.T) {
	s := gitlabtest.New()
	defer s.Close()
	for i := range int64(20) {
		p := gitlabtest.Project{ID: i + 1, Path: "group/p"}
		for j := range int64(50) {
			p.Branches = append(p.Branches, time.Unix(j, 0).UTC().Format("150405"))
		}
		s.Set(p)
	}
	if got := len(s.Project(20).Branches); got != 50 {
		t.Errorf("%d branches", got)
	}
}
