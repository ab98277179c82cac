package executor

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

func TestEnviron_LastOfANameWins(t *testing.T) {
	got := Environ([]string{"A=1", "B=x=y", "A=2", "EMPTY=", "NOTHING"})
	want := map[string]string{"A": "2", "B": "x=y", "EMPTY": "", "NOTHING": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfig_AnswersWithTheJobItNames(t *testing.T) {
	s := newStages(t, nil)
	if err := s.Config("1.2.3"); err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(s.stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, s.stdout)
	}
	_ = json.Unmarshal([]byte(`{"driver":{"name":"review-executor","version":"1.2.3"},"builds_dir":"/builds","cache_dir":"/cache",
		"builds_dir_is_shared":false,"shell":"bash","job_env":{"REVIEW_EXECUTOR_JOB":"4711"}}`), &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfig_SaysNothingOnStdoutWhenItFails(t *testing.T) {
	s := newStages(t, object{"id": 0})
	if err := s.Config("1.2.3"); err == nil || s.stdout.Len() > 0 {
		t.Errorf("%v, stdout %q", err, s.stdout)
	}
}

func TestPrepare_StartsBothContainersOfTheJob(t *testing.T) {
	s := newStages(t, nil).prepared()
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	helper := "localhost/helper:" + arch + "-v18.1.0"
	want := []string{
		"network review-job-4711",
		"pull " + helper, "pull localhost/image",
		"start review-job-4711 localhost/image", "start review-job-4711-helper " + helper,
		"volume review-job-4711",
	}
	if diff := cmp.Diff(want, s.engine.did("network", "pull", "start", "volume")); diff != "" {
		t.Error(diff)
	}
	for name, role := range map[string]string{"review-job-4711": review.RoleJob, "review-job-4711-helper": review.RoleHelper} {
		c := s.engine.running[name]
		if c.Volumes["review-job-4711"] != "/builds" || !c.Shell || c.User != "0" || c.Port != 0 || c.Restart {
			t.Errorf("%+v", c)
		}
		wantLabels := map[string]string{
			review.LabelJob: "4711", review.LabelRole: role, review.LabelProject: "group/shop", review.LabelProjectID: "7",
			review.LabelRef: "feature/login", review.LabelSHA: testSHA, review.LabelApp: "", review.LabelEnvironment: "", review.LabelRelease: "",
			labelOwner: s.owner(),
		}
		if role == review.RoleJob {
			wantLabels[labelShell] = `{"user":"","entrypoint":null}`
		}
		if diff := cmp.Diff(wantLabels, c.Labels); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}, c.Env); diff != "" {
			t.Error(diff)
		}
	}
	if h, j := s.engine.running["review-job-4711-helper"], s.engine.running["review-job-4711"]; h.Network != "review-job-4711" || j.Network != h.Network || j.SameIDs != h.Name {
		t.Errorf("%+v\n%+v", h, j)
	}
}

// TestPrepare_ContainersShareANetworkOnlyForServices: alone they reach nobody.
func TestPrepare_ContainersShareANetworkOnlyForServices(t *testing.T) {
	for name, c := range map[string]struct {
		job  object
		want string
	}{"without services": {nil, ""}, "with services": {serving([]object{{"name": "db"}}), "review-job-4711"}} {
		s := newStages(t, c.job)
		s.engine.ownNetworks = true
		s.prepared()
		for container, spec := range s.engine.running {
			if spec.Network != c.want {
				t.Errorf("%s: %s is in network %q", name, container, spec.Network)
			}
		}
		if made := s.engine.did("network"); len(made) > 0 != (c.want != "") {
			t.Errorf("%s: %v", name, made)
		}
	}
}

func TestPrepare_RemovesWhatAKilledPrepareLeft(t *testing.T) {
	s := newStages(t, nil).prepared().prepared()
	if diff := cmp.Diff([]string{"start review-job-4711 localhost/image", "start review-job-4711 localhost/image"}, s.engine.did("start")[:2]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"remove app= job=4711"}, s.engine.did("remove")); diff != "" {
		t.Error(diff)
	}
}

func TestPrepare_ImageOfTheJobIsExpanded(t *testing.T) {
	for name, want := range map[string]string{
		"":                                 "pull localhost/default",
		"localhost/plain:1":                "pull localhost/plain:1",
		"$CI_REGISTRY_IMAGE/ci:${VERSION}": "pull registry.example.org/shop/ci:3",
		"$CI_REGISTRY_IMAGE$NOTHING":       "pull registry.example.org/shop",
	} {
		s := newStages(t, object{"image": object{"name": name}})
		s.Env["CUSTOM_ENV_CI_REGISTRY_IMAGE"], s.Env["CUSTOM_ENV_VERSION"] = "registry.example.org/shop", "3"
		s.Env["NOTHING"] = "of the host"
		if got := s.prepared().engine.did("pull"); !slices.Contains(got, want) {
			t.Errorf("%q: %v, want %s", name, got, want)
		}
	}
}

func TestExpandVariables(t *testing.T) {
	vars := map[string]string{"A": "1", "AB": "2", "RECURSIVE": "$A", "CUSTOM": "x"}
	for text, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$A":            "1",
		"$AB-$A":        "2-1",
		"${A}B":         "1B",
		"$NONE|${NONE}": "|",
		"$RECURSIVE":    "$A",
		"$$A":           "$A",
		"a$":            "a$",
	} {
		if got := expandVariables(text, vars); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestPrepare_FailuresAreThePullsAndTheEnginesOwn(t *testing.T) {
	missing := &review.Failure{Kind: review.Build, What: "image localhost/image cannot be pulled"}
	for verb, cause := range map[string]error{"pull": missing, "network": errors.New("no subnet left"), "volume": errors.New("no space"), "start": errors.New("no runtime"), "objects": errors.New("no answer")} {
		s := newStages(t, nil)
		s.engine.broken[verb] = cause
		if err := s.Prepare(context.Background()); err == nil || review.AsFailure(err).What != review.AsFailure(cause).What {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// TestPrepare_DeniedProjectMayStillStop: it may have been allowed to deploy.
func TestPrepare_DeniedProjectMayStillStop(t *testing.T) {
	s := newStages(t, object{"variables": stopVariables})
	s.Policy.Projects = nil
	if err := s.prepared().run("build_script"); err != nil || !strings.Contains(s.stdout.String(), "Review app login was not running") {
		t.Errorf("%v\n%s", err, s.stdout)
	}
}

func TestPrepare_SaysWhatCannotBeDeployedBeforeAnythingRuns(t *testing.T) {
	for name, c := range map[string]struct {
		environment, port string
		want              string
	}{
		"bad setting":     {"review/login", "http", "REVIEW_PORT must be"},
		"bad environment": {"review/../x", "", "this environment cannot have a review app"},
	} {
		s := newStages(t, object{"variables": variables("CI_ENVIRONMENT_NAME="+c.environment, "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7")})
		s.Policy.Environments = []string{"**"}
		s.Env["CUSTOM_ENV_REVIEW_PORT"] = c.port
		isBuildFailure(t, s.Prepare(context.Background()), c.want, "nothing was changed")
		if len(s.engine.calls) > 0 {
			t.Errorf("%s: %v", name, s.engine.calls)
		}
	}
}

var stopVariables = variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7")

func TestStop_NeedsNoContainerAndNoImage(t *testing.T) {
	deployed := newStages(t, nil).prepared()
	if err := deployed.run("build_script"); err != nil {
		t.Fatal(err)
	}
	s := newStages(t, object{"id": 4712, "variables": stopVariables}).prepared()
	s.Apps.Records, s.Apps.Front = deployed.Apps.Records, deployed.front
	for _, stage := range []string{"prepare_script", "get_sources", "build_script", "after_script", "cleanup_file_variables"} {
		if stage == "build_script" && len(deployed.front.sites) != 1 {
			t.Errorf("it was stopped before %s", stage)
		}
		if err := s.run(stage); err != nil {
			t.Fatalf("%s: %v", stage, err)
		}
	}
	if diff := cmp.Diff([]string{"remove app=login"}, s.engine.calls); diff != "" {
		t.Error(diff)
	}
	if len(deployed.front.sites) != 0 || !strings.Contains(s.stdout.String(), "Stopped review app login") {
		t.Errorf("serving %v:\n%s", deployed.front.sites, s.stdout)
	}
}

func TestStop_SaysThatItsScriptIsNotRun(t *testing.T) {
	for script, says := range map[string]bool{"make undeploy": true, "true": false, " exit 0 ": false, ":": false} {
		s := newStages(t, object{"variables": stopVariables, "steps": []object{{"name": "script", "script": []string{script}}}})
		if err := s.run("build_script"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(s.stdout.String(), "is not run"); got != says {
			t.Errorf("%q:\n%s", script, s.stdout)
		}
	}
}

func TestProjectDir_StaysInTheVolume(t *testing.T) {
	s := newStages(t, nil)
	job := Job{Project: "group/shop"}
	for dir, want := range map[string]string{
		"/builds/group/shop":     "/builds/group/shop",
		"/builds/0/custom/place": "/builds/0/custom/place",
		"":                       "/builds/group/shop",
		"/builds":                "/builds/group/shop",
		"/builds/../etc":         "/builds/group/shop",
		"/etc":                   "/builds/group/shop",
		"builds/group":           "/builds/group/shop",
		"/builds2/x":             "/builds/group/shop",
	} {
		s.Env["CUSTOM_ENV_CI_PROJECT_DIR"] = dir
		if got := s.projectDir(job); got != want {
			t.Errorf("%q gives %q", dir, got)
		}
	}
}
