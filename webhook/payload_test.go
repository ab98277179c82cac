package webhook

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

var mirrors = Mirrors{"Example/Shop": "group/shop"}

// ends are the payloads that end something, by file. All others end nothing.
var ends = map[string]review.Event{
	"gitlab/push-branch-deleted":        {Kind: review.BranchDeleted, ProjectID: 4711, Project: "group/shop", Branch: "feature/login"},
	"gitlab/push-branch-deleted-sha256": {Kind: review.BranchDeleted, ProjectID: 4711, Project: "group/shop", Branch: "feature/login"},
	"gitlab/merge-request-merged":       {Kind: review.MergeRequestMerged, ProjectID: 4711, Project: "group/shop", Branch: "feature/login", MergeRequest: 23},
	"gitlab/merge-request-closed":       {Kind: review.MergeRequestClosed, ProjectID: 4711, Project: "group/shop", Branch: "feature/login", MergeRequest: 23},
	"gitlab/merge-request-fork-closed":  {Kind: review.MergeRequestClosed, ProjectID: 4711, Project: "group/shop", MergeRequest: 23},
	"gitlab/deployment-success":         {Kind: review.EnvironmentChanged, ProjectID: 4711, Project: "group/shop", Environment: "review/feature-login"},
	"gitlab/deployment-canceled":        {Kind: review.EnvironmentChanged, ProjectID: 4711, Project: "group/shop", Environment: "review/feature-login"},
	"gitlab/job-stop-success":           {Kind: review.EnvironmentChanged, ProjectID: 4711, Project: "group/shop", Environment: "review/feature-login"},
	"gitlab/project-destroy":            {Kind: review.ProjectDeleted, ProjectID: 4711, Project: "group/shop"},
	"gitlab/project-update":             {Kind: review.ProjectArchived, ProjectID: 4711, Project: "group/shop"},
	"github/delete.branch":              {Kind: review.BranchDeleted, Mirror: true, Project: "group/shop", Branch: "feature/login"},
	"github/pull_request.merged":        {Kind: review.MergeRequestMerged, Mirror: true, Project: "group/shop", Branch: "feature/login"},
	"github/pull_request.closed":        {Kind: review.MergeRequestClosed, Mirror: true, Project: "group/shop", Branch: "feature/login"},
	"github/repository.deleted":         {Kind: review.ProjectDeleted, Mirror: true, Project: "group/shop"},
	"github/repository.archived":        {Kind: review.ProjectArchived, Mirror: true, Project: "group/shop"},
}

// payloads are those of testdata, made after the senders' documentation, by file.
func payloads(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/git*/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d payloads: %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".json")] = data
	}
	return all
}

// understand reads a payload of testdata: GitHub's kind of event is in the file's name.
func understand(name string, body []byte) (review.Event, error) {
	if file, found := strings.CutPrefix(name, "github/"); found {
		kind, _, _ := strings.Cut(file, ".")
		return githubEvent(kind, body, mirrors)
	}
	return gitlabEvent(body)
}

func TestPayload_EveryKind(t *testing.T) {
	for name, body := range payloads(t) {
		got, err := understand(name, body)
		want, ends := ends[name]
		var none irrelevant
		switch {
		case ends && err != nil:
			t.Errorf("%s: %v", name, err)
		case !ends && !errors.As(err, &none):
			t.Errorf("%s is %+v, %v and should end nothing", name, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPayload_GarbageIsRefused(t *testing.T) {
	for _, body := range []string{
		``, `{`, `[]`, `"push"`, `{"object_kind": 7}`, `{"object_kind":"push"} trailing`,
		`{"object_kind":"push","ref":["refs/heads/x"]}`,
		`{"object_kind":"push","ref":"refs/heads/x","after":"000"}`,
		`{"object_kind":"push","ref":"refs/heads/","after":"000","project_id":1}`,
		`{"object_kind":"push","ref":"refs/heads/a\u0000b","after":"000","project_id":1}`,
		`{"object_kind":"push","ref":"refs/heads/` + strings.Repeat("x", 2000) + `","after":"000","project_id":1}`,
		`{"object_kind":"push","ref":"refs/heads/x","after":"000","project_id":-1}`,
		`{"object_kind":"push","ref":"refs/heads/x","after":"000","project_id":99999999999999999999}`,
		`{"object_kind":"merge_request","object_attributes":{"action":"close","iid":-3},"project":{"id":1}}`,
		`{"object_kind":"deployment","status":"success","project":{"id":1}}`,
		`{"object_kind":"build","build_status":"success","environment":"review/x","project_id":1}`,
		`{"object_kind":"build","build_status":"success","environment":{"action":"stop"},"project_id":1}`,
		`{"event_name":"project_destroy"}`,
	} {
		if got, err := gitlabEvent([]byte(body)); !errors.Is(err, errPayload) {
			t.Errorf("%.60s is %+v, %v", body, got, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %q is not one line", body, err)
		}
	}
}

func FuzzPayload(f *testing.F) {
	for name, body := range payloads(f) {
		kind, _, _ := strings.Cut(strings.TrimPrefix(name, "github/"), ".")
		f.Add(kind, body)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		for sender, read := range map[string]func() (review.Event, error){
			"gitlab": func() (review.Event, error) { return gitlabEvent(body) },
			"github": func() (review.Event, error) { return githubEvent(kind, body, mirrors) },
		} {
			event, err := read()
			if err != nil {
				if strings.ContainsAny(err.Error(), "\n\r\x00") {
					t.Errorf("%s: %q is not one line", sender, err)
				}
				continue
			}
			if event.Kind == "" || event.ProjectID <= 0 && event.Project == "" {
				t.Errorf("%s: it is %+v", sender, event)
			}
			if event.Mirror != (sender == "github") {
				t.Errorf("%s: it is from the mirror: %v", sender, event.Mirror)
			}
			for _, name := range []string{event.Branch, event.Project, event.Environment} {
				if strings.ContainsAny(name, "\n\r\x00\x1b") || len(name) > maxName {
					t.Errorf("%s: it names %q", sender, name)
				}
			}
		}
	})
}
