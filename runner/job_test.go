package runner

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSlug has GitLab's own examples (spec/lib/gitlab/utils_spec.rb) and what
// its rule, lower case, 63 bytes, no hyphen at either end, makes of others.
func TestSlug(t *testing.T) {
	for ref, want := range map[string]string{
		"TEST":                               "test",
		"project_with_underscores":           "project-with-underscores",
		"namespace/project":                  "namespace-project",
		strings.Repeat("a", 70):              strings.Repeat("a", 63),
		strings.Repeat("a", 62) + "-b":       strings.Repeat("a", 62),
		"-a-":                                "a",
		"test_trailing_":                     "test-trailing",
		"feature/Login.Form":                 "feature-login-form",
		"a--b__c":                            "a--b--c",
		"Ünï":                                "n",
		"/":                                  "",
		"refs/merge-requests/7/head":         "refs-merge-requests-7-head",
		"--" + strings.Repeat("b", 63) + "c": strings.Repeat("b", 61),
	} {
		if got := slug(ref); got != want {
			t.Errorf("%q becomes %q, want %q", ref, got, want)
		}
	}
}

func testJob() played {
	return newPlayed(Job{
		Dir: "/src/My shop!", Branch: "feature/login", Environment: "review/$CI_COMMIT_REF_SLUG", Action: "start", Image: "localhost/image",
		Services: []Service{{Name: "localhost/redis:7", Alias: "queue"}, {Name: "localhost/db"}},
		Script:   []string{"make", "make test"}, Variables: map[string]string{"Z": "last", "A": "first $CI"},
	}, strings.Repeat("3f2c1a9f", 5))
}

func TestResponse_HasTheShapeOfGitLabs(t *testing.T) {
	p := testJob()
	data, err := p.response()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID      int64  `json:"id"`
		Token   string `json:"token"`
		JobInfo struct {
			ID        int64  `json:"id"`
			ProjectID int64  `json:"project_id"`
			Name      string `json:"name"`
			Stage     string `json:"stage"`
			FullPath  string `json:"project_full_path"`
		} `json:"job_info"`
		GitInfo struct {
			RepoURL string `json:"repo_url"`
			Ref     string `json:"ref"`
			Type    string `json:"ref_type"`
			SHA     string `json:"sha"`
		} `json:"git_info"`
		Steps []struct {
			Name   string   `json:"name"`
			Script []string `json:"script"`
		} `json:"steps"`
		Image struct {
			Name string `json:"name"`
		} `json:"image"`
		Services  []any      `json:"services"`
		Variables []variable `json:"variables"`
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != p.id || got.ID <= 0 || got.JobInfo.ID != p.id || got.Token == "" {
		t.Errorf("id %d, job_info %+v", got.ID, got.JobInfo)
	}
	if got.JobInfo.FullPath != "local/My-shop" || got.JobInfo.ProjectID <= projectBase || got.JobInfo.Name != "review-app" || got.JobInfo.Stage != "deploy" {
		t.Errorf("job_info %+v", got.JobInfo)
	}
	if got.GitInfo.Ref != "feature/login" || got.GitInfo.Type != "branch" || got.GitInfo.SHA != p.sha || got.GitInfo.RepoURL != "https://gitlab.invalid/local/My-shop.git" {
		t.Errorf("git_info %+v", got.GitInfo)
	}
	if len(got.Steps) != 1 || got.Steps[0].Name != "script" || !slices.Equal(got.Steps[0].Script, p.Script) || got.Image.Name != "localhost/image" {
		t.Errorf("steps %+v, image %+v", got.Steps, got.Image)
	}
	services := []any{map[string]any{"name": "localhost/redis:7", "alias": "queue"}, map[string]any{"name": "localhost/db", "alias": ""}}
	if diff := cmp.Diff(services, got.Services); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(p.vars, got.Variables); diff != "" {
		t.Error(diff)
	}
}

// TestResponse_WithoutServicesHasAnEmptyList, as GitLab's.
func TestResponse_WithoutServicesHasAnEmptyList(t *testing.T) {
	data, err := newPlayed(Job{Dir: "/src", Branch: "main"}, testJob().sha).response()
	if err != nil || !strings.Contains(string(data), `"services": []`) {
		t.Errorf("%v\n%s", err, data)
	}
}

// TestVariables_ComeInGitLabsOrder, by which the executor tells GitLab's own
// from a user's.
func TestVariables_ComeInGitLabsOrder(t *testing.T) {
	var order []string
	p := testJob()
	for _, v := range p.vars {
		switch v.Key {
		case "CI_ENVIRONMENT_NAME", "CI_ENVIRONMENT_ACTION", "CI_PROJECT_ID", "CI_COMMIT_REF_SLUG", "A", "Z":
			order = append(order, v.Key+"="+v.Value)
		}
		if v.Key == "CI_JOB_TOKEN" && (v.Public || !v.Masked) {
			t.Errorf("%+v", v)
		}
	}
	want := []string{
		"CI_ENVIRONMENT_NAME=review/feature-login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=" + strconv.FormatInt(p.number, 10),
		"CI_COMMIT_REF_SLUG=feature-login", "A=first $CI", "Z=last",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

func TestVariables_NoEnvironment(t *testing.T) {
	for _, v := range newPlayed(Job{Dir: "/src", Branch: "main"}, strings.Repeat("0", 40)).vars {
		if strings.HasPrefix(v.Key, "CI_ENVIRONMENT") {
			t.Errorf("%+v", v)
		}
	}
}

func TestNewPlayed_ProjectsOfOneNameAreTwo(t *testing.T) {
	a, b, again := newPlayed(Job{Dir: "/a/shop"}, testJob().sha), newPlayed(Job{Dir: "/b/shop"}, testJob().sha), newPlayed(Job{Dir: "/a/shop"}, testJob().sha)
	if a.number == b.number || a.number != again.number || a.project != b.project {
		t.Errorf("%d %s, %d %s, %d", a.number, a.project, b.number, b.project, again.number)
	}
}

// TestEnviron_JobsOwnValuesComeLast, as the runner does it: of a name that is
// set twice, the last counts.
func TestEnviron_JobsOwnValuesComeLast(t *testing.T) {
	t.Setenv("JOB_RESPONSE_FILE", "of the host")
	t.Setenv("OF_THE_HOST", "yes")
	p := testJob()
	p.vars = append(p.vars, variable{Key: "CI_JOB_ID", Value: "666"})
	env := map[string]string{}
	for _, entry := range p.environ(workspace{"/dir", "/dir/response", "/dir/exit"}, map[string]string{"FROM_CONFIG": "yes"}, "/builds/shop") {
		key, value, _ := strings.Cut(entry, "=")
		env[key] = value
	}
	for key, want := range map[string]string{
		"OF_THE_HOST": "yes", "TMPDIR": "/dir", "JOB_RESPONSE_FILE": "/dir/response", "BUILD_EXIT_CODE_FILE": "/dir/exit",
		"BUILD_FAILURE_EXIT_CODE": "1", "SYSTEM_FAILURE_EXIT_CODE": "2", "FROM_CONFIG": "yes",
		"CUSTOM_ENV_CI_JOB_ID": "666", "CUSTOM_ENV_A": "first $CI", "CUSTOM_ENV_CI_PROJECT_DIR": "/builds/shop", "CUSTOM_ENV_CI_JOB_IMAGE": "localhost/image",
	} {
		if env[key] != want {
			t.Errorf("%s is %q, want %q", key, env[key], want)
		}
	}
}

func TestFailed_SaysWhoseFaultItIs(t *testing.T) {
	for exit, want := range map[int]string{1: "Job failed: stage prepare", 2: "Job failed (system failure): stage prepare, exit code 2", -1: "Job failed (system failure): stage prepare, exit code -1"} {
		if got := (&Failed{Stage: "prepare", Exit: exit}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
