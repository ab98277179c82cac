package executor

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	inHelper = `exec review-job-4711-helper "0"`
	inJob    = `exec review-job-4711 ""`
)

func TestRun_StagesGoToTheirContainers(t *testing.T) {
	for stage, want := range map[string]string{
		"prepare_script":              inHelper,
		"get_sources":                 inHelper,
		"clear_worktree":              inHelper,
		"restore_cache":               inHelper,
		"download_artifacts":          inHelper,
		"build_script":                inJob,
		"step_script":                 inJob,
		"step_foo":                    inJob,
		"step_release_2":              inJob,
		"after_script":                inJob,
		"archive_cache":               inHelper,
		"archive_cache_on_failure":    inHelper,
		"upload_artifacts_on_success": inHelper,
		"upload_artifacts_on_failure": inHelper,
		"cleanup_file_variables":      inHelper,
		"a_stage_of_the_future":       inHelper,
		"steps":                       inHelper,
		"2":                           inHelper,
	} {
		t.Run(stage, func(t *testing.T) {
			s := newStages(t, nil).prepared()
			if err := s.run(stage); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{want}, s.engine.did("exec")); diff != "" {
				t.Error(diff)
			}
			if s.engine.stdin != "echo "+stage {
				t.Errorf("the script is %q", s.engine.stdin)
			}
			if umask := strings.Contains(strings.Join(s.engine.command, " "), "umask 0000"); umask != (want == inHelper) {
				t.Errorf("it runs %q", s.engine.command)
			}
		})
	}
}

func TestRun_RefusesWhatIsNoStage(t *testing.T) {
	for _, stage := range []string{"", "Build_script", "build-script", "build script", "build_script\n", "../x", "bühne", "$x"} {
		s := newStages(t, nil).prepared()
		err := s.run(stage)
		if err == nil || !strings.Contains(err.Error(), "is not one") {
			t.Errorf("%q: %v", stage, err)
		}
		if ran := s.engine.did("exec", "build"); len(ran) > 0 {
			t.Errorf("%q: %v", stage, ran)
		}
	}
}

func TestRun_ScriptThatFailsIsToldToTheRunner(t *testing.T) {
	for exit, want := range map[int]string{1: "1\n", 2: "2\n", 125: "125\n", 127: "127\n", 137: "137\n", 255: "255\n"} {
		s := newStages(t, nil).prepared()
		s.engine.exit = exit
		err := s.run("build_script")
		var script *ScriptError
		if !errors.As(err, &script) || script.Exit != exit {
			t.Errorf("exit code %d: %v", exit, err)
		}
		if got, err := os.ReadFile(s.exitCodeFile); err != nil || string(got) != want {
			t.Errorf("exit code %d: the file says %q (%v)", exit, got, err)
		}
	}
}

// TestRun_OldExitCodeIsGoneBeforeTheScript: the runner never removes the file.
func TestRun_OldExitCodeIsGoneBeforeTheScript(t *testing.T) {
	for _, stage := range []string{"build_script", "get_sources", "no stage"} {
		s := newStages(t, nil).prepared()
		if err := os.WriteFile(s.exitCodeFile, []byte("42\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.engine.written = func() {
			if _, err := os.Stat(s.exitCodeFile); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the file is still there when the script runs (%v)", stage, err)
			}
		}
		_ = s.run(stage)
		if _, err := os.Stat(s.exitCodeFile); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the file of the stage before is still there (%v)", stage, err)
		}
	}
}

func TestRun_OldRunnerHasNoExitCodeFile(t *testing.T) {
	s := newStages(t, nil).prepared()
	delete(s.Env, "BUILD_EXIT_CODE_FILE")
	s.engine.exit = 3
	var script *ScriptError
	if err := s.run("build_script"); !errors.As(err, &script) || script.Exit != 3 {
		t.Error(err)
	}
}

func TestRun_LostContainerIsNotTheScriptsFault(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.engine.exit, s.engine.dies = 137, true
	err := s.run("build_script")
	var f *review.Failure
	if !errors.As(err, &f) || f.Kind != review.System || !strings.Contains(f.What, "the container of stage build_script is gone") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(s.exitCodeFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an exit code was written (%v)", err)
	}
}

func TestRun_EngineThatFailsIsASystemFailure(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.engine.broken["exec"] = errors.New("connection refused")
	err := s.run("get_sources")
	if f := review.AsFailure(err); err == nil || f.Kind != review.System || f.Error() != "stage get_sources: connection refused" {
		t.Errorf("%v", err)
	}
}

func TestRun_MissingScriptIsASystemFailure(t *testing.T) {
	s := newStages(t, nil).prepared()
	err := s.Run(t.Context(), "/no/such/script.", "build_script")
	if !errors.Is(err, fs.ErrNotExist) || review.AsFailure(err).Kind != review.System {
		t.Error(err)
	}
}

func TestRun_DeploysAfterTheMainScriptAlone(t *testing.T) {
	for stage, deploys := range map[string]bool{
		"build_script": true, "step_script": true,
		"step_release": false, "after_script": false, "get_sources": false, "cleanup_file_variables": false,
	} {
		s := newStages(t, nil).prepared()
		if err := s.run(stage); err != nil {
			t.Fatal(err)
		}
		if got := len(s.engine.did("build")) == 1 && len(s.front.sites) == 1; got != deploys {
			t.Errorf("%s deploys: %t", stage, got)
		}
	}
}

func TestRun_FailedScriptDeploysNothing(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.engine.exit = 1
	if err := s.run("build_script"); err == nil {
		t.Error("it succeeded")
	}
	if built := s.engine.did("build"); len(built) > 0 {
		t.Error(built)
	}
}

func TestRun_OtherEnvironmentsAndActionsDeployNothing(t *testing.T) {
	for _, vars := range [][]variable{
		variables("CI_PROJECT_ID=7"),
		variables("CI_PROJECT_ID=7", "CI_ENVIRONMENT_NAME=review/evil"),
		variables("CI_ENVIRONMENT_NAME=production", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"),
		variables("CI_ENVIRONMENT_NAME=production", "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7"),
		variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=prepare", "CI_PROJECT_ID=7"),
		variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=verify", "CI_PROJECT_ID=7"),
		variables("CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=access", "CI_PROJECT_ID=7"),
	} {
		s := newStages(t, object{"variables": vars}).prepared()
		if err := s.run("build_script"); err != nil {
			t.Fatal(err)
		}
		if got := s.engine.did("exec", "build"); !slices.Equal(got, []string{inJob}) {
			t.Errorf("%v: %v", vars, got)
		}
	}
}

func TestRun_ReportsTheURL(t *testing.T) {
	s := newStages(t, nil).prepared()
	if err := s.run("build_script"); err != nil {
		t.Fatal(err)
	}
	want := "REVIEW_URL=https://login.review.example.org\nREVIEW_HOST=login.review.example.org\n"
	if got := string(s.engine.files["review-job-4711-helper:/builds/group/shop/review.env"]); got != want {
		t.Errorf("review.env is %q, want %q", got, want)
	}
}

func TestRun_ReportThatCannotBeWrittenSaysWhatServes(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.engine.broken["write"] = errors.New("read-only file system")
	err := s.run("build_script")
	var f *review.Failure
	if !errors.As(err, &f) {
		t.Fatal(err)
	}
	if f.Kind != review.System || !strings.Contains(f.Text(), "serving at https://login.review.example.org") || !strings.Contains(f.Text(), "read-only") {
		t.Error(f.Text())
	}
}

func TestRun_BadSettingsAreTheJobsFault(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.Env["CUSTOM_ENV_REVIEW_PORT"] = "http"
	s.Env["CUSTOM_ENV_REVIEW_CONTEXT"] = "../.."
	isBuildFailure(t, s.run("build_script"), "REVIEW_PORT", "REVIEW_CONTEXT", "nothing was changed", `"variables:"`)
	if built := s.engine.did("build"); len(built) > 0 {
		t.Error(built)
	}
}

func TestRun_MisspeltSettingIsWarnedOf(t *testing.T) {
	s := newStages(t, nil).prepared()
	s.Env["CUSTOM_ENV_REVIEW_PROT"] = "80"
	if err := s.run("build_script"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.stdout.String(), "WARNING: REVIEW_PROT means nothing") || len(s.front.sites) != 1 {
		t.Errorf("serving %v:\n%s", s.front.sites, s.stdout)
	}
}
