package main

import (
	"fmt"
	"strings"
	"testing"
)

// whereami tells the helper, which has git, from a job in busybox.
const whereami = "if command -v git >/dev/null; then echo helper; else echo job; fi"

func TestConformance_EveryStageRunsInItsContainer(t *testing.T) {
	j := newDriverJob(t)
	j.image = busybox
	j.prepared()
	for want, stages := range map[string][]string{
		"job\n": {"build_script", "step_script", "step_lint", "step_42", "after_script"},
		"helper\n": {
			"prepare_script", "get_sources", "clear_worktree", "restore_cache", "download_artifacts", "archive_cache", "archive_cache_on_failure",
			"upload_artifacts_on_success", "upload_artifacts_on_failure", "cleanup_file_variables", "of_a_later_runner", "release", "a", "0",
		},
	} {
		for _, stage := range stages {
			if got := j.run(stage, whereami).succeeded(t); got.stdout != want {
				t.Errorf("%s runs in %q, want %q", stage, got.stdout, want)
			}
		}
	}
}

func TestConformance_NamesThatAreNoStageAreRefused(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"", "Build_Script", "build-script", "build script", "../build_script", "build_script/..", "build_script\n", "step_script;id", "skript_über"} {
		if got := j.run(stage, "echo it ran").exited(t, systemFailure, "ERROR"); got.stdout != "" {
			t.Errorf("%q: %s", stage, got.stdout)
		}
	}
}

func TestConformance_JobOfFourRunsIsAWholeJob(t *testing.T) {
	j := newDriverJob(t)
	j.stage("config").succeeded(t)
	j.prepared()
	for _, stage := range []string{"prepare_script", "get_sources", "build_script", "cleanup_file_variables"} {
		j.run(stage, "true").succeeded(t)
	}
}

func TestConformance_StagesGoOnAfterFailedSources(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("get_sources", "exit 128").exited(t, buildFailure)
	for _, stage := range []string{"clear_worktree", "get_sources", "upload_artifacts_on_failure", "cleanup_file_variables"} {
		j.run(stage, "true").succeeded(t)
	}
}

func TestConformance_FailedUploadFailsTheJob(t *testing.T) {
	j := newDriverJob(t)
	helper := j.newImage("FROM localhost/review-demo/debian\n" +
		`RUN printf '#!/bin/sh\necho "called with $*"\nexit 1\n' >/usr/bin/gitlab-runner-helper; chmod 755 /usr/bin/gitlab-runner-helper` + "\n")
	j.config = configWith(t, `helper_image = "localhost/review-demo/debian"`, `helper_image = "`+helper+`"`)
	j.prepared()
	j.run("upload_artifacts_on_success", "gitlab-runner artifacts-uploader --id 1").exited(t, buildFailure, "called with artifacts-uploader --id 1\n")
	if got := j.exitCode(); got != "1\n" {
		t.Errorf("the file says %q", got)
	}
}

func TestConformance_HelperNeedsNoGitlabRunner(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("archive_cache", "if command -v gitlab-runner; then exit 1; fi").succeeded(t)
}

func TestConformance_BashIsTakenBeforeSh(t *testing.T) {
	first := newDriverJob(t)
	for image, want := range map[string]string{"localhost/review-demo/debian": "bash\n", busybox: "no bash\n"} {
		j := first.another()
		j.image = image
		if got := j.prepared().run("build_script", `if test "$BASH_VERSION"; then echo bash; else echo no bash; fi`).succeeded(t); got.stdout != want {
			t.Errorf("%s runs scripts with %q", image, got.stdout)
		}
	}
}

func TestConformance_CommandsFindStdinAtItsEnd(t *testing.T) {
	first := newDriverJob(t)
	for _, image := range []string{"", busybox} {
		j := first.another()
		j.image = image
		j.prepared()
		for _, stage := range []string{"prepare_script", "build_script", "after_script"} {
			got := j.run(stage, "cat; read line || echo nothing to read; sort\necho behind").succeeded(t)
			if got.stdout != "nothing to read\nbehind\n" {
				t.Errorf("%s: %q", stage, got.stdout)
			}
		}
	}
}

func TestConformance_ScriptMayBeLong(t *testing.T) {
	j := newDriverJob(t).prepared()
	script := strings.Repeat("# "+strings.Repeat("x", 997)+"\n", 3000) + "echo behind 3 MB\nexit 7"
	for _, stage := range []string{"get_sources", "build_script"} {
		j.run(stage, script).exited(t, buildFailure, "behind 3 MB\n")
		if j.exitCode() != "7\n" {
			t.Errorf("%s: exit code %q", stage, j.exitCode())
		}
	}
}

// TestConformance_ProcessLeftInTheBackgroundDoesNotHoldTheStage has one that
// writes to the job log as long as it lives.
func TestConformance_ProcessLeftInTheBackgroundDoesNotHoldTheStage(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"build_script", "get_sources"} {
		j.run(stage, "sleep 1000 & (while sleep 1; do echo tick; done) & echo end").succeeded(t).says(t, "end\n")
		j.run(stage, "sleep 1000 & exit 7").exited(t, buildFailure)
		if j.exitCode() != "7\n" {
			t.Errorf("%s: exit code %q", stage, j.exitCode())
		}
	}
}

func TestConformance_WhatTheHelperMakesAnyUserMayChange(t *testing.T) {
	j := newDriverJob(t).prepared()
	got := j.run("get_sources", "umask; cd /builds; touch file; mkdir dir; stat -c '%a %u' file dir .").succeeded(t)
	if want := "0000\n666 0\n777 0\n777 0\n"; got.stdout != want {
		t.Errorf("%q, want %q", got.stdout, want)
	}
	if got := j.run("build_script", "umask").succeeded(t); got.stdout != "0022\n" {
		t.Errorf("the job's umask is %q: it is the image's business", got.stdout)
	}
}

func TestConformance_ContainersOutliveEveryStage(t *testing.T) {
	j := newDriverJob(t).prepared()
	ids := func() string {
		name := fmt.Sprintf("review-job-%d", j.id)
		return host.Podman(t, "inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Running}}", name, name+"-helper")
	}
	before := ids()
	for _, stage := range []string{"get_sources", "build_script", "after_script", "archive_cache"} {
		j.run(stage, "echo $$ >/tmp/file; exit 3").exited(t, buildFailure)
	}
	if after := ids(); after != before || strings.Count(after, "true") != 2 {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

func TestConformance_DebugTraceChangesNothing(t *testing.T) {
	j := newDriverJob(t)
	j.vars = append(j.vars, "CI_DEBUG_TRACE=true", "SECRET=s3cret")
	if got := j.stage("prepare").succeeded(t); strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	got := j.run("build_script", "set -x\necho hello").succeeded(t)
	if got.stdout != "hello\n" || !strings.HasSuffix(got.stderr, "+ echo hello\n") || strings.Contains(got.stderr, "s3cret") {
		t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
	}
}
