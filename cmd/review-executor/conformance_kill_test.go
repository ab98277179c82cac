package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// killed kills the stage's process group as the kernel does when memory is short.
func (s *stageProcess) killed() { s.t.Helper(); s.signal(syscall.SIGKILL).wait() }

func TestConformance_PrepareWorksAfterOneThatWasKilled(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	for _, request := range []string{"/networks/create", "/volumes/create", "/containers/create", "/start"} {
		for name, passes := range map[string]bool{"lost": false, "late": true} {
			gate := newGate(t, "POST", request)
			j.config = gate.config
			s := j.start("prepare")
			gate.holds(s)
			s.killed()
			if passes {
				gate.open()
			} else {
				gate.drop()
			}
			j.config = host.Config()
			if passes { // Podman is busy with it: the runner waits 3 s, and cleans up
				j.stage("cleanup")
			}
			if got := j.stage("prepare"); got.code != 0 {
				t.Errorf("killed at %s, which comes %s: prepare ends with %d\n%s%s", request, name, got.code, got.stdout, got.stderr)
				j.stage("cleanup")
				continue
			}
			j.run("build_script", "true").succeeded(t)
		}
	}
}

func TestConformance_JobIsPreparedAgainAfterAnyStageWasKilled(t *testing.T) {
	j := newDriverJob(t)
	word := fmt.Sprintf("%d98765", j.id)
	for _, stage := range []string{"get_sources", "build_script", "after_script", "upload_artifacts_on_success"} {
		j.prepared()
		j.startRun(stage, "touch /builds/file; echo begun; sleep "+word).saying("begun").killed()
		j.prepared().run("build_script", "test ! -e /builds/file").succeeded(t)
		eventually(t, "the killed script has ended", func() bool { return len(running(t, word)) == 0 })
	}
}

func TestConformance_KilledCleanupIsFinishedByTheNext(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	for _, path := range []string{"/containers/", "/networks/", "/volumes/"} {
		j.prepared()
		gate := newGate(t, "DELETE", path)
		j.config = gate.config
		s := j.start("cleanup")
		gate.holds(s)
		s.killed()
		gate.drop()
		j.config = host.Config()
		j.stage("cleanup").succeeded(t)
		nothingLeft(t)
	}
}

func TestConformance_NextDeployRemovesWhatAKilledOneLeft(t *testing.T) {
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	for path, method := range map[string]string{"/networks/create": "POST", "/containers/create": "POST", "/start": "POST"} {
		j.prepared().checkout(page("the release")).succeeded(t)
		gate := newGate(t, method, path)
		j.config = gate.config
		s := j.startRun("build_script", "true")
		gate.holds(s)
		s.killed()
		gate.drop()
		j.config = host.Config()
		j.stage("cleanup").succeeded(t)
	}
	next := j.another().deploying().prepared()
	next.checkout(page("the release behind")).succeeded(t)
	next.run("build_script", "true").succeeded(t)
	next.stage("cleanup").succeeded(t)
	stillServing(t, "login", "the release behind", 1)
}

// runnerProcess is a process that starts stages, as gitlab-runner does.
type runnerProcess struct {
	t   *testing.T
	cmd *exec.Cmd
}

// preparedBy has another process than the test's prepare the job.
func (j *driverJob) preparedBy() *runnerProcess {
	j.t.Helper()
	cmd := exec.Command("sh", "-c", `setsid "$0" "$@" && echo prepared && exec sleep 1000`, program, "--config", host.Config(), "prepare")
	cmd.Dir, cmd.Env, cmd.Stderr = j.dir, append(os.Environ(), j.environ()...), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		j.t.Fatal(err)
	}
	r := &runnerProcess{j.t, cmd}
	j.t.Cleanup(r.dies)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "prepared\n" {
		j.t.Fatalf("%q (%v)", line, err)
	}
	return r
}

func (r *runnerProcess) dies() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// left tells whether anything of the job is on the host.
func (j *driverJob) left() bool {
	j.t.Helper()
	for _, left := range host.Leftovers(j.t) {
		if strings.Contains(left, fmt.Sprintf(" review-job-%d", j.id)) {
			return true
		}
	}
	return false
}

func TestConformance_NextJobRemovesWhatAKilledRunnerLeft(t *testing.T) {
	live := newDriverJob(t).prepared()
	killed, finished, other := live.another(), live.another(), live.another()
	killed.preparedBy().dies()
	finished.preparedBy()
	if err := os.Remove(finished.responseFile()); err != nil { // as the runner does when a job is over
		t.Fatal(err)
	}
	other.preparedBy()

	next := live.another().prepared()
	if killed.left() || finished.left() {
		t.Error("there is something left of a job whose runner is gone, or has finished with it")
	}
	for name, j := range map[string]*driverJob{"of this runner": live, "of another": other, "that has just begun": next} {
		if got := j.run("build_script", "true"); got.code != 0 {
			t.Errorf("a job %s does not run any more: %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
}

func TestConformance_PruneRemovesWhatAKilledRunnerLeft(t *testing.T) {
	live := newDriverJob(t).prepared()
	killed := live.another()
	runner := killed.preparedBy()
	runProgram(t, "prune").succeeded(t).says(t, "No killed job has left anything.")
	runner.dies()

	would := fmt.Sprintf("Would remove what job %d has left", killed.id)
	if got := runProgram(t, "prune", "--dry-run").succeeded(t).says(t, would); strings.Contains(got.stdout, fmt.Sprint(live.id)) || !killed.left() {
		t.Errorf("it has done it, or would touch a live job: %s", got.stdout)
	}
	runProgram(t, "prune").succeeded(t).says(t, fmt.Sprintf("Removed what job %d has left", killed.id))
	if killed.left() {
		t.Error("there is something left of the killed job")
	}
	runProgram(t, "prune").succeeded(t).says(t, "No killed job has left anything.")
	live.run("build_script", "true").succeeded(t)
}

// TestConformance_PruneFindsJobsThatWereKilledInPrepare has jobs whose containers
// were never started.
func TestConformance_PruneFindsJobsThatWereKilledInPrepare(t *testing.T) {
	first := newDriverJob(t)
	for _, request := range []string{"/containers/create", "/start"} {
		j := first.another()
		gate := newGate(t, "POST", request)
		j.config = gate.config
		s := j.start("prepare")
		gate.holds(s)
		s.killed()
		gate.drop()
		if err := os.Remove(j.responseFile()); err != nil {
			t.Fatal(err)
		}
		runProgram(t, "prune").succeeded(t).says(t, fmt.Sprintf("Removed what job %d has left", j.id))
		if j.left() {
			t.Errorf("killed at %s, there is something left", request)
		}
	}
}

func TestConformance_PruneLeavesReviewAppsAlone(t *testing.T) {
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.prepared().checkout(page("the release")).succeeded(t)
	j.run("build_script", "true").succeeded(t)
	if err := os.Remove(j.responseFile()); err != nil {
		t.Fatal(err)
	}
	runProgram(t, "prune").succeeded(t).says(t, fmt.Sprintf("Removed what job %d has left", j.id))
	stillServing(t, "login", "the release", 1)
}
