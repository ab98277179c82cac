package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
)

// cancelled starts a script, waits until it says "begun", and sends SIGTERM to
// the stage's process group, as the runner does.
func (j *driverJob) cancelled(stage, script string) result {
	j.t.Helper()
	got := j.startRun(stage, script).saying("begun").signal(syscall.SIGTERM).wait()
	if got.code == 0 || got.code == buildFailure || j.exitCode() != "" {
		j.t.Errorf("cancelled in %s, exit code %d and file %q\n%s%s", stage, got.code, j.exitCode(), got.stdout, got.stderr)
	}
	return got
}

// processes counts those in the container of a stage. The first command of the
// script's pipe has ended by then, and is a zombie as long as the other runs.
func (j *driverJob) processes(stage string) string {
	j.t.Helper()
	return j.run(stage, "sleep 0.2; n=0; for stat in /proc/[0-9]*/stat; do if read pid name state rest <$stat && test $state != Z; then n=$((n + 1)); fi; done; echo $n").succeeded(j.t).stdout
}

// unchanged waits until the container of a stage has as many processes as before.
func (j *driverJob) unchanged(stage, before string) {
	j.t.Helper()
	for range 10 {
		after := j.processes(stage)
		if after == before {
			return
		}
		j.t.Logf("%s has %s processes, and had %s", stage, strings.TrimSpace(after), strings.TrimSpace(before))
	}
	j.t.Errorf("%s has not as many processes as before", stage)
}

// running lists the processes of the host that have the word among their
// arguments.
func running(t *testing.T, word string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		line, err := os.ReadFile(file)
		if pid, atoi := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && atoi == nil && bytes.Contains(line, []byte("\x00"+word+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestConformance_QuitLetsTheJobEnd: it is what a service of gitlab-runner is told, with all of its
// processes, to end without breaking off jobs.
func TestConformance_QuitLetsTheJobEnd(t *testing.T) {
	j := newDriverJob(t).prepared()
	stage := j.startRun("step_script", "echo begun; until test -e /tmp/go; do sleep 0.1; done; echo through")
	stage.saying("begun").signal(syscall.SIGQUIT)
	host.Podman(t, "exec", fmt.Sprintf("review-job-%d", j.id), "touch", "/tmp/go")
	if got := stage.wait().succeeded(t); !strings.Contains(got.stdout, "through") {
		t.Errorf("it says %q", got.stdout)
	}
}

// TestConformance_CancelledScriptLeavesNoProcess has scripts that do not want to
// end. Their containers stay: the runner goes on with after_script.
func TestConformance_CancelledScriptLeavesNoProcess(t *testing.T) {
	j := newDriverJob(t).prepared()
	word := fmt.Sprintf("%d98765", j.id)
	for name, script := range map[string]string{
		"alone":               "echo begun; sleep " + word,
		"with children":       "sleep " + word + " & sleep " + word + " & echo begun; wait",
		"left by its shell":   "(sleep " + word + " & sleep " + word + " &) & echo begun; sleep " + word,
		"in its own session":  "setsid sleep " + word + " & setsid sh -c 'nohup sleep " + word + " & wait' & echo begun; wait",
		"deaf to signals":     "trap '' TERM INT HUP USR1; sh -c \"trap '' TERM HUP INT; while :; do sleep " + word + "; done\" & echo begun; while :; do sleep " + word + "; done",
		"stopped":             "sleep " + word + " & kill -STOP $!; echo begun; wait",
		"reading a pipe":      "mkfifo /tmp/pipe$$; echo begun; cat /tmp/pipe$$",
		"writing without end": "echo begun; yes " + word,
	} {
		for _, stage := range []string{"build_script", "get_sources"} {
			before := j.processes(stage)
			j.cancelled(stage, script)
			eventually(t, "the processes of a script "+name+" are gone", func() bool { return len(running(t, word)) == 0 })
			j.unchanged(stage, before)
		}
	}
}

// TestConformance_CancelledForkBombIsGone has processes each of which forks the
// next and ends, so that who lists them is always late.
func TestConformance_CancelledForkBombIsGone(t *testing.T) {
	j := newDriverJob(t).prepared()
	before := j.processes("build_script")
	j.run("build_script", `printf '#!/bin/sh\n/builds/comet &\n' >/builds/comet; chmod 755 /builds/comet`).succeeded(t)
	j.cancelled("build_script", "for i in $(seq 20); do /builds/comet & done; for i in $(seq 200); do sleep 1000 & done; echo begun; wait")
	j.unchanged("build_script", before)
}

func TestConformance_JobGoesOnAfterItsScriptWasCancelled(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("get_sources", "mkdir -p /builds/group/shop.tmp; echo here >/builds/group/file").succeeded(t)
	for _, stage := range []string{"build_script", "after_script"} {
		j.cancelled(stage, "echo begun; sleep 1000")
		j.run("after_script", "cat /builds/group/file").succeeded(t).says(t, "here\n")
	}
	j.run("archive_cache_on_failure", "cat /builds/group/file").succeeded(t).says(t, "here\n")
	j.run("cleanup_file_variables", "rm -r /builds/group/shop.tmp").succeeded(t)
}

func TestConformance_RunnersOwnStagesCanBeCancelled(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"prepare_script", "get_sources", "restore_cache", "download_artifacts", "archive_cache", "upload_artifacts_on_success", "cleanup_file_variables"} {
		j.cancelled(stage, "echo begun; sleep 1000")
	}
	j.run("cleanup_file_variables", "true").succeeded(t)
	j.run("build_script", "true").succeeded(t)
}

func TestConformance_OutputBeforeACancelIsInTheLog(t *testing.T) {
	j := newDriverJob(t).prepared()
	if got := j.cancelled("build_script", "seq 1000; echo begun; sleep 1000"); !strings.HasSuffix(got.stdout, "\n1000\nbegun\n") {
		t.Errorf("%q", got.stdout)
	}
}

func TestConformance_SecondSignalChangesNothing(t *testing.T) {
	j := newDriverJob(t).prepared()
	s := j.startRun("build_script", "echo begun; sleep 1000").saying("begun")
	for range 3 {
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	}
	if got := s.wait(); got.code == buildFailure {
		t.Errorf("exit code %d", got.code)
	}
	j.run("after_script", "true").succeeded(t)
}

// waitingService is one that prepare waits for, in vain.
func (j *driverJob) waitingService() []object {
	return []object{{"name": j.newImage("FROM " + busybox + "\nEXPOSE 8080\nCMD [\"sleep\", \"1000\"]\n")}}
}

func TestConformance_CancelledPrepareLeavesNothingAfterCleanup(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"services": j.waitingService()}
	s := j.start("prepare")
	eventually(t, "its service runs", func() bool {
		return strings.Contains(host.Podman(t, "ps", "--format", "{{.Names}}"), "-service-0")
	})
	if got := s.signal(syscall.SIGTERM).wait(); got.code == 0 || got.code == buildFailure {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	j.noContainers()
	j.response = nil
	j.prepared().run("build_script", "true").succeeded(t)
}

// noContainers cleans up and fails the test if anything but images is left.
func (j *driverJob) noContainers() {
	j.t.Helper()
	j.stage("cleanup").succeeded(j.t)
	for _, left := range host.Leftovers(j.t) {
		if !strings.HasPrefix(left, "image ") {
			j.t.Errorf("left on the host: %s", left)
		}
	}
}

func TestConformance_CancelledPullEnds(t *testing.T) {
	registry := registrytest.New(t)
	registry.Push(t, "shop:1", registrytest.Image{})
	j := newDriverJob(t)
	j.image = registry.Name("shop:1")
	asked := registry.Stall()
	s := j.start("prepare")
	<-asked
	if got := s.signal(syscall.SIGTERM).wait(); got.code == 0 || got.code == buildFailure {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	j.noContainers()
}

// TestConformance_CancelledAtAnyRequestOfPrepare cancels while Podman works.
func TestConformance_CancelledAtAnyRequestOfPrepare(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	for _, request := range []string{"/networks/create", "/volumes/create", "/containers/create", "/start"} {
		for name, passes := range map[string]bool{"and it is lost": false, "and it comes late": true} {
			gate := newGate(t, "POST", request)
			j.config = gate.config
			s := j.start("prepare")
			gate.holds(s)
			s.signal(syscall.SIGTERM)
			if passes {
				gate.open()
			} else {
				gate.drop()
			}
			if got := s.wait(); got.code == buildFailure {
				t.Errorf("%s %s: exit code %d\n%s%s", request, name, got.code, got.stdout, got.stderr)
			}
			j.config = host.Config()
			j.noContainers()
		}
	}
}

func TestConformance_CancelledBuildLeavesTheReleaseBefore(t *testing.T) {
	j := newDriverJob(t)
	t.Cleanup(func() { stopApps(t) })
	j.deploying().prepared().checkout(page("the release before")).succeeded(t)
	j.run("build_script", "true").succeeded(t)

	next := j.another().deploying().prepared()
	word := fmt.Sprintf("%d98765", next.id)
	t.Cleanup(func() { kill(running(t, word)) }) // where it has no cgroup of ours
	next.checkout(map[string]string{"Containerfile": "FROM " + busybox + "\nRUN echo be''gun; sleep " + word + "\n"}).succeeded(t)
	next.startRun("build_script", "true").saying("begun").signal(syscall.SIGTERM).wait().exited(t, systemFailure, "was cancelled", "is still serving")
	next.run("after_script", "true").succeeded(t)
	next.stage("cleanup").succeeded(t)
	j.stage("cleanup").succeeded(t)
	stillServing(t, "login", "the release before", 1)
}

func kill(pids []int) {
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestConformance_CancelledHealthCheckLeavesTheReleaseBefore(t *testing.T) {
	j := newDriverJob(t)
	t.Cleanup(func() { stopApps(t) })
	j.deploying().prepared().checkout(page("the release before")).succeeded(t)
	j.run("build_script", "true").succeeded(t)

	next := j.another().deploying().prepared()
	next.checkout(map[string]string{"Containerfile": "FROM " + busybox + "\nEXPOSE 8080\nCMD [\"sleep\", \"1000\"]\n"}).succeeded(t)
	next.startRun("build_script", "true").saying("container").signal(syscall.SIGTERM).wait().exited(t, systemFailure, "was cancelled", "is still serving")
	next.stage("cleanup").succeeded(t)
	j.stage("cleanup").succeeded(t)
	stillServing(t, "login", "the release before", 1)
}

func TestConformance_CancelledCleanupFinishes(t *testing.T) {
	j := newDriverJob(t).prepared()
	gate := newGate(t, "DELETE", "/containers/")
	j.config = gate.config
	s := j.start("cleanup")
	gate.holds(s)
	s.signal(syscall.SIGTERM)
	gate.open()
	s.wait().succeeded(t)
	nothingLeft(t)
}
