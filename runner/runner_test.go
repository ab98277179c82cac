package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shellExecutor is an executor that runs its stages' scripts on this machine:
// a shell script that notes its calls.
type shellExecutor struct {
	t   *testing.T
	dir string
}

// newExecutor makes an executor. body runs for every stage but config, after
// the call was noted; $1 is the stage, for run "$2" the script and $3 the
// sub-stage.
func newExecutor(t *testing.T, body string) shellExecutor {
	t.Helper()
	e := shellExecutor{t, t.TempDir()}
	script := fmt.Sprintf(`set -e
dir=%s
if [ "$1" = run ]; then echo "run $3"; else echo "$1"; fi >>"$dir/calls"
if [ "$1" = config ]; then
	echo '{"builds_dir": "'"$dir/builds"'", "job_env": {"FROM_CONFIG": "yes"}}'
	exit
fi
%s
`, quote(e.dir), body)
	if err := os.WriteFile(filepath.Join(e.dir, "executor"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e shellExecutor) command() []string {
	return []string{"sh", filepath.Join(e.dir, "executor")}
}

// play plays a job of a new checkout's main branch and returns its log.
func (e shellExecutor) play(script ...string) (log string, err error) {
	e.t.Helper()
	var output bytes.Buffer
	err = Job{Dir: newCheckout(e.t), Branch: "main", Action: "start", Script: script}.Run(e.t.Context(), e.command(), &output)
	return output.String(), err
}

func (e shellExecutor) called(want ...string) {
	e.t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "calls"))
	if err != nil {
		e.t.Fatal(err)
	}
	if diff := cmp.Diff(want, strings.Fields(strings.ReplaceAll(string(data), "run ", "run:"))); diff != "" {
		e.t.Errorf("calls:\n%s", diff)
	}
}

// failedIn asserts that the job failed in the stage with the code.
func failedIn(t *testing.T, err error, stage string, exit int) {
	t.Helper()
	var failed *Failed
	if !errors.As(err, &failed) || failed.Stage != stage || failed.Exit != exit {
		t.Errorf("%v (%+v), want code %d of %s", err, failed, exit, stage)
	}
}

const runScripts = `if [ "$1" = run ]; then bash <"$2"; fi`

func TestRun_PlaysAJobFromCheckoutToCleanup(t *testing.T) {
	e := newExecutor(t, runScripts)
	log, err := e.play("git status --short --branch", "git log --format=%s", "git remote get-url origin", "cat index.html", "cat", "pwd")
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	e.called("config", "prepare", "run:prepare_script", "run:get_sources", "run:build_script", "run:cleanup_file_variables", "cleanup")
	for _, want := range []string{
		"Running on ", "as detached HEAD\n",
		"$ git status --short --branch\n## HEAD (no branch)\n$ git log --format=%s\nchange\n$ git remote get-url origin\nhttps://gitlab.invalid/local/shop.git\n",
		"$ cat index.html\nthe page\n$ cat\n$ pwd\n" + e.dir + "/builds/local/shop\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if _, err := os.Stat(filepath.Join(e.dir, "builds/local/shop.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the job's temporary directory is still there (%v)", err)
	}
}

// TestRun_HooksOfThisMachineStayHere: git puts those of the user's template
// into every clone.
func TestRun_HooksOfThisMachineStayHere(t *testing.T) {
	template := t.TempDir()
	if err := os.Mkdir(filepath.Join(template, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(template, "hooks", "post-checkout"), []byte("#!/bin/sh\necho a hook ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_TEMPLATE_DIR", template)
	e := newExecutor(t, runScripts)
	log, err := e.play("ls .git")
	if err != nil || strings.Contains(log, "hook") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestRun_StageSeesWhatTheRunnerGives(t *testing.T) {
	e := newExecutor(t, `
[ "$1" = prepare ] || exit 0
echo "exit codes $BUILD_FAILURE_EXIT_CODE $SYSTEM_FAILURE_EXIT_CODE, from config $FROM_CONFIG, branch $CUSTOM_ENV_CI_COMMIT_BRANCH, in $CUSTOM_ENV_CI_PROJECT_DIR"
[ "$PWD" = "$TMPDIR" ] && [ "$(dirname "$BUILD_EXIT_CODE_FILE")" = "$PWD" ] && echo "in its own directory"
stat -c 'response %a' "$JOB_RESPONSE_FILE"
grep -o '"ref": "[a-z]*"' "$JOB_RESPONSE_FILE"
pwd >"$dir/workspace"`)
	log, err := e.play("true")
	want := "exit codes 1 2, from config yes, branch main, in " + e.dir + "/builds/local/shop\nin its own directory\nresponse 600\n\"ref\": \"main\"\n"
	if err != nil || log != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, log))
	}
	workspace, err := os.ReadFile(filepath.Join(e.dir, "workspace"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(workspace))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the workspace %s is still there (%v)", workspace, err)
	}
}

func TestRun_PrepareIsTriedThreeTimesWithCleanupBetween(t *testing.T) {
	e := newExecutor(t, `[ "$1" != prepare ] || { echo "no luck" >&2; exit 2; }`)
	log, err := e.play("true")
	failedIn(t, err, "prepare", 2)
	e.called("config", "prepare", "cleanup", "prepare", "cleanup", "prepare", "cleanup")
	if strings.Count(log, "no luck\n") != 3 || strings.Count(log, "trying again") != 2 {
		t.Error(log)
	}
}

func TestRun_PrepareThatSucceedsAtLastGoesOn(t *testing.T) {
	e := newExecutor(t, `[ "$1" != prepare ] || [ -e "$dir/tried" ] || { touch "$dir/tried"; exit 2; }`)
	if log, err := e.play("true"); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	e.called("config", "prepare", "cleanup", "prepare", "run:prepare_script", "run:get_sources", "run:build_script", "run:cleanup_file_variables", "cleanup")
}

func TestRun_BuildFailureIsNotTriedAgain(t *testing.T) {
	e := newExecutor(t, `[ "$1" != prepare ] || exit "$BUILD_FAILURE_EXIT_CODE"`)
	log, err := e.play("true")
	failedIn(t, err, "prepare", buildFailure)
	e.called("config", "prepare", "cleanup")
	if strings.Contains(log, "trying again") {
		t.Error(log)
	}
}

func TestRun_FailedStageSkipsTheNextAndCleansUp(t *testing.T) {
	for stage, calls := range map[string][]string{
		"prepare_script":         {"run:prepare_script", "run:cleanup_file_variables"},
		"get_sources":            {"run:prepare_script", "run:get_sources", "run:cleanup_file_variables"},
		"build_script":           {"run:prepare_script", "run:get_sources", "run:build_script", "run:cleanup_file_variables"},
		"cleanup_file_variables": {"run:prepare_script", "run:get_sources", "run:build_script", "run:cleanup_file_variables"},
	} {
		e := newExecutor(t, `[ "$1 $3" != "run `+stage+`" ] || exit 7`)
		_, err := e.play("true")
		failedIn(t, err, stage, 7)
		e.called(append(append([]string{"config", "prepare"}, calls...), "cleanup")...)
	}
}

func TestRun_CleanupsOutputShowsOnlyWhenItFails(t *testing.T) {
	for code, shows := range map[string]bool{"0": false, "3": true} {
		e := newExecutor(t, `[ "$1" != cleanup ] || { echo "from cleanup"; echo "and its stderr" >&2; exit `+code+`; }`)
		log, err := e.play("true")
		if err != nil {
			t.Error(err) // the job itself went well
		}
		want := "WARNING: cleanup: Job failed (system failure): stage cleanup, exit code 3\nfrom cleanup\nand its stderr\n"
		if strings.Contains(log, want) != shows || (!shows && log != "") {
			t.Errorf("code %s: %q", code, log)
		}
	}
}

func TestRun_ConfigMustAnswerJSON(t *testing.T) {
	for command, want := range map[string]string{
		"echo hello":              "something else than JSON",
		"true":                    "something else than JSON",
		"echo broken >&2; exit 2": "Job failed (system failure): stage config, exit code 2",
	} {
		var log bytes.Buffer
		err := Job{Dir: newCheckout(t), Branch: "main"}.Run(t.Context(), []string{"sh", "-c", command}, &log)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(log.String(), "broken") != strings.Contains(command, "broken") {
			t.Errorf("%s: %v\n%s", command, err, log.String())
		}
	}
}

func TestRun_ExecutorThatIsMissing(t *testing.T) {
	err := Job{Dir: newCheckout(t), Branch: "main"}.Run(t.Context(), []string{"/no/such/executor"}, &bytes.Buffer{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// whenSaid calls then once text was written to it.
type whenSaid struct {
	mu   sync.Mutex
	got  bytes.Buffer
	text string
	then func()
}

func (w *whenSaid) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got.Write(b)
	if w.then != nil && strings.Contains(w.got.String(), w.text) {
		w.then()
		w.then = nil
	}
	return len(b), nil
}

// TestRun_CancelSendsSIGTERMToTheStagesProcesses: both the stage and what it
// has started get it, and what comes after a cancelled script still runs.
func TestRun_CancelSendsSIGTERMToTheStagesProcesses(t *testing.T) {
	for stage, calls := range map[string][]string{
		"prepare":      {"prepare", "cleanup"},
		"build_script": {"prepare", "run:prepare_script", "run:get_sources", "run:build_script", "run:cleanup_file_variables", "cleanup"},
	} {
		e := newExecutor(t, `
case "$1 $3" in "prepare "|"run build_script")
	[ "${3:-$1}" = `+stage+` ] || exit 0
	trap 'wait; echo "the stage got it"; exit 9' TERM
	sh -c 'trap "echo the child got it; exit" TERM; echo waiting; while :; do sleep 1; done' &
	wait
esac`)
		ctx, cancel := context.WithCancel(t.Context())
		log := &whenSaid{text: "waiting\n", then: cancel}
		err := Job{Dir: newCheckout(t), Branch: "main", Action: "start"}.Run(ctx, e.command(), log)
		cancel()
		failedIn(t, err, stage, 9)
		e.called(append([]string{"config"}, calls...)...)
		if got := log.got.String(); !strings.Contains(got, "the child got it\nthe stage got it\n") {
			t.Error(got)
		}
	}
}
