package executor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"

	"gitlab.com/review-executor/review-executor/review"
)

func TestOwner_IsGoneWithItsProcessOrTheJobResponse(t *testing.T) {
	response := writeFile(t, nil)
	self := processIdentity(t, os.Getpid())
	ended := exec.Command("sleep", "1000")
	if err := ended.Start(); err != nil {
		t.Fatal(err)
	}
	dead := processIdentity(t, ended.Process.Pid)
	_ = ended.Process.Kill()
	_ = ended.Wait()

	pid, rest, _ := strings.Cut(self, ":")
	for owner, want := range map[string]bool{
		self + ":" + response:              false,
		self + ":" + response + ".not":     true,
		dead + ":" + response:              true,
		pid + ":1" + rest + ":" + response: true, // another process of that ID
		self + "0:" + response:             true, // before a reboot
		self + ":/odd:/place" + response:   true,
		"":                                 false, // not known
		"x:" + response:                    false,
		self:                               false,
		self + ":":                         false,
		strings.Repeat("9", 30) + ":/no":   false,
	} {
		if got := Gone(owner); got != want {
			t.Errorf("%q is gone: %t", owner, got)
		}
	}
}

func processIdentity(t *testing.T, pid int) string {
	t.Helper()
	process, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := process.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return identity(stat)
}

func TestPrepare_RemovesWhatJobsLeftWhoseRunnerIsGone(t *testing.T) {
	s := newStages(t, nil)
	alive := processIdentity(t, os.Getpid()) + ":" + s.Env["JOB_RESPONSE_FILE"]
	for id, owner := range map[int]string{1: alive, 2: alive + ".not", 3: ""} {
		name := jobName(int64(id))
		s.engine.running[name] = review.Container{Name: name, Labels: map[string]string{review.LabelJob: fmt.Sprint(id), review.LabelRole: review.RoleJob, labelOwner: owner}}
	}
	s.engine.running["app"] = review.Container{Name: "app", Labels: map[string]string{review.LabelJob: "2", review.LabelApp: "login", review.LabelRole: review.RoleApp}}
	s.prepared()
	if diff := cmp.Diff([]string{"remove app= job=2"}, s.engine.did("remove")); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"review-job-1", "review-job-3", "app"} {
		if s.engine.running[name].Name == "" {
			t.Errorf("%s was removed", name)
		}
	}
}

func TestObserve_TellsTheOperatorHowAStageWent(t *testing.T) {
	for want, err := range map[string]error{
		"done": nil, "build failure": &ScriptError{Exit: 3}, "system failure": &review.Failure{What: "no Podman"}, "cancelled": fmt.Errorf("stage x: %w", context.Canceled),
	} {
		s := newStages(t, nil)
		if got := s.Observe("build_script", func() error { return err }); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
		fields := s.journal.LastEntry().Data
		if fields["job"] != int64(4711) || fields["project"] != "group/shop" || fields["app"] != "login" || fields["stage"] != "build_script" || fields["outcome"] != want || fields["duration"] == "" {
			t.Errorf("%v", fields)
		}
	}
}
