package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestConformance_ScriptsExitCodeReachesTheRunner(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"build_script", "get_sources"} {
		for _, code := range []int{0, 1, 2, 125, 127, 137, 255} {
			want, file := buildFailure, strconv.Itoa(code)+"\n"
			if code == 0 {
				want, file = 0, ""
			}
			got := j.run(stage, fmt.Sprintf("echo out; echo err >&2; exit %d", code)).exited(t, want)
			if got.stdout != "out\n" || got.stderr != "err\n" {
				t.Errorf("code %d of %s: stdout %q, stderr %q", code, stage, got.stdout, got.stderr)
			}
			if written := j.exitCode(); written != file {
				t.Errorf("code %d of %s: the file says %q", code, stage, written)
			}
		}
	}
}

func TestConformance_ScriptThatDiesOfASignalIsTheJobsFault(t *testing.T) {
	j := newDriverJob(t).prepared()
	for signal, code := range map[string]string{"KILL": "137\n", "SEGV": "139\n"} {
		j.run("build_script", "kill -"+signal+" $$").exited(t, buildFailure)
		if got := j.exitCode(); got != code {
			t.Errorf("SIG%s: the file says %q, want %q", signal, got, code)
		}
	}
	j.run("build_script", "no-such-command || exit $?").exited(t, buildFailure, "no-such-command")
	if got := j.exitCode(); got != "127\n" {
		t.Errorf("a command that is not there: the file says %q", got)
	}
}

func TestConformance_ExitCodeFileIsRemovedWhenRunStarts(t *testing.T) {
	j := newDriverJob(t).prepared()
	for name, run := range map[string]func() result{
		"success":          func() result { return j.run("build_script", "true") },
		"refused stage":    func() result { return j.run("no stage", "true") },
		"no script":        func() result { return j.stage("run", "/no/such/script", "build_script") },
		"invalid response": func() result { j.env = []string{"JOB_RESPONSE_FILE="}; return j.run("build_script", "exit 3") },
	} {
		if err := os.WriteFile(j.exitFile, []byte("99\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := run(); j.exitCode() != "" || got.code == buildFailure {
			t.Errorf("%s: exit code %d, and the file says %q", name, got.code, j.exitCode())
		}
		j.env = nil
	}
}

func TestConformance_RunnerMayHaveNoExitCodeFile(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.env = []string{"BUILD_EXIT_CODE_FILE="} // as before 17.9
	j.run("build_script", "exit 3").exited(t, buildFailure)
	j.run("build_script", "true").succeeded(t)
}

// TestConformance_GoneContainerIsASystemFailure has 125 and 137 for exit codes,
// which a script may have too.
func TestConformance_GoneContainerIsASystemFailure(t *testing.T) {
	j := newDriverJob(t)
	for stage, suffix := range map[string]string{"build_script": "", "get_sources": "-helper"} {
		j.prepared()
		running := j.startRun(stage, "echo begun; sleep 1000").saying("begun")
		host.Podman(t, "kill", fmt.Sprintf("review-job-%d%s", j.id, suffix))
		running.wait().exited(t, systemFailure, "the container of stage "+stage+" is gone")
		j.run(stage, "true").exited(t, systemFailure, "ERROR")
		j.stage("cleanup").succeeded(t)
		j.run(stage, "true").exited(t, systemFailure, fmt.Sprintf(`no container with name or ID "review-job-%d%s"`, j.id, suffix))
		if got := j.exitCode(); got != "" {
			t.Errorf("%s: the file says %q", stage, got)
		}
	}
}

func TestConformance_MissingImageIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	j.image = "localhost/no/such/image"
	j.stage("prepare").exited(t, buildFailure, "ERROR: image localhost/no/such/image is not on this host", "check its name")
	j.image, j.response = "", object{"services": []object{{"name": "localhost/no/such/service"}}}
	j.stage("prepare").exited(t, buildFailure, "ERROR: image localhost/no/such/service is not on this host")
}

func TestConformance_MissingHelperImageIsASystemFailure(t *testing.T) {
	j := newDriverJob(t)
	j.config = configWith(t, `helper_image = "localhost/review-demo/debian"`, `helper_image = "localhost/no/such/helper"`)
	j.stage("prepare").exited(t, systemFailure, "localhost/no/such/helper")
}

func TestConformance_DeniedJobIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	for rule, policy := range map[string]string{
		"policy.projects": `projects = ["other/**"]`,
		"policy.images":   `images = ["localhost/other/*"]`,
		"policy.services": `services = ["localhost/other/*"]`,
	} {
		j.image, j.response = busybox, object{"services": []object{{"name": busybox}}}
		j.config = configWith(t, "[jobs]", "[policy]\n"+policy+"\n\n[jobs]")
		j.stage("prepare").exited(t, buildFailure, rule)
		nothingLeft(t)
	}
}

func TestConformance_BrokenContainerfileIsABuildFailure(t *testing.T) {
	j := newDriverJob(t).deploying().prepared()
	j.checkout(map[string]string{"Containerfile": "FROM " + busybox + "\nRUN exit 7\n"}).succeeded(t)
	j.run("build_script", "true").exited(t, buildFailure, "ERROR: Containerfile does not build")
}

func TestConformance_BrokenApacheIsASystemFailure(t *testing.T) {
	j := newDriverJob(t).deploying()
	j.prepared()
	j.checkout(page("hello")).succeeded(t)
	j.config = configWith(t, `/apache.sh", "-t"`, `/no-apache", "-t"`)
	j.run("build_script", "true").exited(t, systemFailure, "ERROR", "no-apache")
	runProgram(t, "front").succeeded(t)
}

func TestConformance_UnreachablePodmanIsASystemFailure(t *testing.T) {
	j := newDriverJob(t).prepared()
	file := j.script("true")
	j.config = configWith(t, "podman.sock", "no.sock")
	for _, args := range [][]string{{"prepare"}, {"run", file, "build_script"}, {"run", file, "get_sources"}, {"cleanup"}} {
		j.stage(args...).exited(t, systemFailure, "ERROR: Podman does not answer")
	}
}

// TestConformance_PrepareIsTriedAgainAfterCleanup lets Podman fail at each thing
// that prepare asks it to make.
func TestConformance_PrepareIsTriedAgainAfterCleanup(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	for _, request := range []string{"/networks/create", "/volumes/create", "/containers/create", "/start"} {
		j.config = newBreak(t, "POST", request).config
		j.stage("prepare").exited(t, systemFailure, "ERROR")
		j.config = host.Config()
		j.stage("cleanup").succeeded(t)
		nothingLeft(t)
		j.prepared().run("build_script", "true").succeeded(t)
	}
}

func TestConformance_PrepareAgainStartsAfresh(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("get_sources", "echo first >/builds/file").succeeded(t)
	j.prepared() // after one that was killed
	j.run("build_script", "test ! -e /builds/file").succeeded(t)
}

func TestConformance_SystemFailureSaysWhoseTurnItIs(t *testing.T) {
	j := newDriverJob(t)
	j.config = configWith(t, "podman.sock", "no.sock")
	if got := j.stage("prepare").exited(t, systemFailure, "hint: not your branch"); strings.Contains(got.stdout, "ERROR") {
		t.Errorf("it is on stdout: %q", got.stdout)
	}
}
