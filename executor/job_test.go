package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

const testSHA = "3f2c1a93f2c1a93f2c1a93f2c1a93f2c1a93f2c1"

// object is JSON that a test takes apart.
type object = map[string]any

// testResponse is a job response as GitLab sends it, of a job that deploys to
// review/login, with the changes applied: a dotted key and its new value, nil to
// leave the key out.
func testResponse(t testing.TB, changes object) []byte {
	t.Helper()
	r := object{
		"id":    4711,
		"token": "glcbt-secret",
		"job_info": object{
			"name": "review-app", "stage": "deploy", "project_id": 7, "project_name": "shop", "project_full_path": "group/shop",
		},
		"git_info": object{
			"repo_url": "https://gitlab-ci-token:secret@gitlab.example.org/group/shop.git", "ref": "feature/login", "ref_type": "branch", "sha": testSHA,
		},
		"variables": variables(
			"CI_JOB_ID=4711", "CI_NODE_TOTAL=1",
			"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start",
			"CI_PROJECT_ID=7", "CI_PROJECT_PATH=group/shop",
		),
		"steps": []object{{"name": "script", "script": []string{"make"}}, {"name": "after_script", "script": []string{"make clean"}}},
		"image": object{"name": "localhost/image"},
	}
	for key, value := range changes {
		in := r
		outer, inner, nested := strings.Cut(key, ".")
		if nested {
			in, key = r[outer].(object), inner
		}
		if value == nil {
			delete(in, key)
			continue
		}
		in[key] = value
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// variables are CI variables from "KEY=VALUE", in their order.
func variables(entries ...string) []variable {
	var vars []variable
	for _, entry := range entries {
		key, value, _ := strings.Cut(entry, "=")
		vars = append(vars, variable{Key: key, Value: value})
	}
	return vars
}

func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func readJob(t testing.TB, changes object) (Job, error) {
	t.Helper()
	return ReadJob(writeFile(t, testResponse(t, changes)))
}

func TestReadJob_TakesTheIdentityFromTrustedFields(t *testing.T) {
	got, err := readJob(t, object{
		"variables": variables(
			"CI_JOB_ID=4711", "CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7", "CI_PROJECT_PATH=group/shop",
			// what the job's author defines comes behind GitLab's own
			"CI_JOB_ID=666", "CI_PROJECT_ID=666", "CI_PROJECT_PATH=evil/shop", "CI_COMMIT_SHA=evil", "CI_COMMIT_REF_NAME=evil", "CI_ENVIRONMENT_NAME=review/evil",
		),
		"services": []object{{"name": "docker.io/library/postgres:17"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Job{
		ID: 4711, Name: "review-app", ProjectID: 7, Project: "group/shop", Ref: "feature/login", Branch: "feature/login", SHA: testSHA,
		Image: Image{Name: "localhost/image", Aliases: []string{}}, Environment: Environment{"review/login", "start"},
		Services: []Image{{Name: "docker.io/library/postgres:17", Aliases: []string{}}}, Script: []string{"make"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestReadJob_Origin has what the app lives and dies with.
func TestReadJob_Origin(t *testing.T) {
	mine := "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=7"
	for name, c := range map[string]struct {
		git          object
		variables    []variable
		branch       string
		mergeRequest int64
	}{
		"a branch":                  {object{"ref": "feature/login", "ref_type": "branch"}, nil, "feature/login", 0},
		"a tag":                     {object{"ref": "v1", "ref_type": "tag"}, nil, "", 0},
		"a merge request":           {object{"ref": "refs/merge-requests/12/head", "ref_type": "branch"}, variables(mine, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=login"), "login", 12},
		"a merge train":             {object{"ref": "refs/merge-requests/12/train", "ref_type": "branch"}, variables(mine, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=login"), "login", 12},
		"a forged source":           {object{"ref": "refs/merge-requests/12/head", "ref_type": "branch"}, variables(mine, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=login", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main"), "login", 12},
		"a forged merge request":    {object{"ref": "login", "ref_type": "branch"}, variables(mine, "CI_MERGE_REQUEST_IID=1", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main"), "login", 0},
		"a fork's merge request":    {object{"ref": "refs/merge-requests/12/head", "ref_type": "branch"}, variables("CI_MERGE_REQUEST_SOURCE_PROJECT_ID=8", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main"), "", 12},
		"a branch that looks alike": {object{"ref": "refs/merge-requests/x/head", "ref_type": "branch"}, nil, "refs/merge-requests/x/head", 0},
	} {
		c.git["sha"] = testSHA
		job, err := readJob(t, object{"git_info": c.git, "variables": append(c.variables, variables("CI_PROJECT_ID=7")...)})
		if err != nil || job.Branch != c.branch || job.MergeRequest != c.mergeRequest {
			t.Errorf("%s: branch %q, merge request %d, %v; want %q, %d", name, job.Branch, job.MergeRequest, err, c.branch, c.mergeRequest)
		}
	}
}

func TestReadJob_TimeOfThePipeline(t *testing.T) {
	for value, want := range map[string]string{"2026-11-20T10:00:00+01:00": "2026-11-20T09:00:00Z", "yesterday": "0001-01-01T00:00:00Z", "": "0001-01-01T00:00:00Z"} {
		job, err := readJob(t, object{"variables": variables("CI_PIPELINE_CREATED_AT="+value, "CI_PIPELINE_CREATED_AT=2030-01-01T00:00:00Z", "CI_PROJECT_ID=7")})
		if got := job.Requested.Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", value, got, err, want)
		}
	}
}

// TestReadJob_ProjectOfOlderGitLab covers GitLab before 18, which sends no
// project_full_path.
func TestReadJob_ProjectOfOlderGitLab(t *testing.T) {
	for name, changes := range map[string]object{
		"GitLab's own variable": {"variables": variables("CI_PROJECT_ID=7", "CI_PROJECT_PATH=group/shop", "CI_PROJECT_PATH=evil/shop")},
		"the clone URL":         {"variables": variables("CI_PROJECT_ID=7")},
	} {
		changes["job_info.project_full_path"] = nil
		job, err := readJob(t, changes)
		if err != nil || job.Project != "group/shop" {
			t.Errorf("from %s: %q, %v", name, job.Project, err)
		}
	}
}

func TestReadJob_EnvironmentIsGitLabsOwn(t *testing.T) {
	login := Environment{"review/login", "start"}
	for name, c := range map[string]struct {
		variables []variable
		want      Environment
	}{
		"none":     {variables("CI_PROJECT_ID=7"), Environment{}},
		"GitLab's": {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"), login},
		"stop":     {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7"), Environment{"review/login", "stop"}},

		"a user's name alone":     {variables("CI_PROJECT_ID=7", "CI_ENVIRONMENT_NAME=review/evil", "CI_ENVIRONMENT_ACTION=stop"), Environment{}},
		"a user's name over it":   {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7", "CI_ENVIRONMENT_NAME=review/evil"), login},
		"a user's action over it": {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7", "CI_ENVIRONMENT_ACTION=stop"), login},

		// in older GitLab the action was the very last variable
		"old GitLab's action":                    {variables("CI_ENVIRONMENT_NAME=review/login", "CI_PROJECT_ID=7", "CI_ENVIRONMENT_ACTION=stop"), Environment{"review/login", "stop"}},
		"a user's action before old GitLab's":    {variables("CI_ENVIRONMENT_NAME=review/login", "CI_PROJECT_ID=7", "CI_ENVIRONMENT_ACTION=stop", "CI_ENVIRONMENT_ACTION=start"), login},
		"no action at all":                       {variables("CI_ENVIRONMENT_NAME=review/login", "CI_PROJECT_ID=7"), login},
		"an empty action":                        {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=", "CI_PROJECT_ID=7"), login},
		"a second CI_PROJECT_ID":                 {variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7", "CI_PROJECT_ID=7"), login},
		"a second CI_PROJECT_ID behind a user's": {variables("CI_PROJECT_ID=7", "CI_ENVIRONMENT_NAME=review/evil", "CI_PROJECT_ID=7"), Environment{}},
		"another project's CI_PROJECT_ID":        {variables("CI_PROJECT_ID=7", "CI_ENVIRONMENT_NAME=review/evil", "CI_PROJECT_ID=8"), Environment{}},
		"no CI_PROJECT_ID: nothing is trusted":   {variables("CI_ENVIRONMENT_NAME=review/evil"), Environment{}},
	} {
		job, err := readJob(t, object{"variables": c.variables})
		if err != nil || job.Environment != c.want {
			t.Errorf("%s: %+v, want %+v (%v)", name, job.Environment, c.want, err)
		}
	}
}

// TestReadJob_RefusesWhatGitLabNeverSends is every part of the response in turn.
// None of it is the job's fault.
func TestReadJob_RefusesWhatGitLabNeverSends(t *testing.T) {
	for name, c := range map[string]struct {
		changes object
		want    string
	}{
		"no id":              {object{"id": nil}, "id 0 is not positive"},
		"negative id":        {object{"id": -1}, "id -1 is not positive"},
		"id of text":         {object{"id": "4711"}, "id of type int64"},
		"id too big":         {object{"id": json.Number("9223372036854775808")}, "id of type int64"},
		"no project id":      {object{"job_info.project_id": nil}, "project_id 0 is not positive"},
		"project of nowhere": {object{"job_info.project_full_path": nil, "git_info.repo_url": nil, "variables": nil}, `project path "" is not one`},
		"project climbs out": {object{"job_info.project_full_path": "../../etc"}, `project path "../../etc" is not one`},
		"project is rooted":  {object{"job_info.project_full_path": "/etc"}, `project path "/etc" is not one`},
		"project of quotes":  {object{"job_info.project_full_path": `a"b`}, "is not one"},
		"project of lines":   {object{"job_info.project_full_path": "a\nb"}, "is not one"},
		"project is endless": {object{"job_info.project_full_path": strings.Repeat("a/", 600) + "b"}, "is not one"},
		"bad clone URL":      {object{"job_info.project_full_path": nil, "git_info.repo_url": "http://a b:x", "variables": nil}, "is not one"},
		"no sha":             {object{"git_info.sha": nil}, `git_info.sha "" is no commit`},
		"short sha":          {object{"git_info.sha": "3f2c1a9"}, "is no commit"},
		"sha of other text":  {object{"git_info.sha": strings.Repeat("g", 40)}, "is no commit"},
		"sha in capitals":    {object{"git_info.sha": strings.ToUpper(testSHA)}, "is no commit"},
		"no ref":             {object{"git_info.ref": nil}, `git_info.ref "" is no ref`},
		"ref of two lines":   {object{"git_info.ref": "a\nServerName evil"}, "is no ref"},
		"ref is endless":     {object{"git_info.ref": strings.Repeat("a", 1025)}, "is no ref"},
		"variables of text":  {object{"variables": "CI=true"}, "variables of type"},
		"job_info of text":   {object{"job_info": "shop"}, "job_info of type"},
		"image of text":      {object{"image": "alpine"}, "image of type"},
		"services of text":   {object{"services": "postgres"}, "services of type"},
		"steps of numbers":   {object{"steps": []int{1}}, "steps of type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readJob(t, c.changes)
			isSystemFailure(t, err, c.want)
		})
	}
}

// isSystemFailure asserts that the response is refused, with the cause, and
// that it is not the job's fault.
func isSystemFailure(t *testing.T, err error, want string) {
	t.Helper()
	var f *review.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no Failure", err)
	}
	if f.Kind != review.System || f.What != "the job response cannot be used" || f.Hint == "" {
		t.Errorf("%+v", f)
	}
	if got := f.Error(); !strings.Contains(got, want) {
		t.Errorf("%q does not say %q", got, want)
	}
}

func TestReadJob_ReportsAllProblemsTogether(t *testing.T) {
	_, err := readJob(t, object{"id": 0, "job_info.project_id": -7, "git_info.sha": "x", "git_info.ref": ""})
	for _, want := range []string{"id 0", "project_id -7", "git_info.sha", "git_info.ref"} {
		isSystemFailure(t, err, want)
	}
}

func TestReadJob_FileThatCannotBeRead(t *testing.T) {
	whole := testResponse(t, nil)
	for name, c := range map[string]struct{ file, want string }{
		"not named":     {"", "JOB_RESPONSE_FILE is not set"},
		"missing":       {filepath.Join(t.TempDir(), "missing"), "no such file"},
		"a directory":   {t.TempDir(), "is a directory"},
		"empty":         {writeFile(t, nil), "unexpected end of JSON input"},
		"truncated":     {writeFile(t, whole[:len(whole)/2]), "unexpected end of JSON input"},
		"trailing text": {writeFile(t, append(whole[:len(whole):len(whole)], "{}"...)), "after top-level value"},
		"not JSON":      {writeFile(t, []byte("\x00\x01\xff")), "invalid character"},
		"a list":        {writeFile(t, []byte("[]")), "cannot unmarshal array"},
		"null":          {writeFile(t, []byte("null")), "id 0 is not positive"},
		"deep":          {writeFile(t, []byte(`{"id":`+strings.Repeat("[", 20000))), "max depth"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadJob(c.file)
			isSystemFailure(t, err, c.want)
		})
	}
}

func FuzzReadJob(f *testing.F) {
	whole := testResponse(f, nil)
	f.Add(whole)
	f.Add(whole[:len(whole)/3])
	for _, seed := range []string{"", "null", "[]", `{"id":1e99}`, `{"variables":[null,{}]}`, `{"steps":[{"name":"script","script":null}]}`, fmt.Sprintf(`{"id":1,"job_info":{"project_id":1},"git_info":{"sha":%q,"ref":"x","repo_url":"//h/../a%%2fb.git"}}`, testSHA)} {
		f.Add([]byte(seed))
	}
	file := writeFile(f, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		job, err := ReadJob(file)
		if err != nil {
			isSystemFailure(t, err, "")
			return
		}
		if err := job.check(); err != nil {
			t.Errorf("accepted %+v: %v", job, err)
		}
		if job.Environment.Name == "" && job.Environment.Action != "" {
			t.Errorf("an action without an environment: %+v", job.Environment)
		}
	})
}
