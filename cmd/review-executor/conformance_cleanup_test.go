package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestConformance_CleanupLeavesNothing cleans up before prepare and twice, by the
// job response or by what config has told the runner.
func TestConformance_CleanupLeavesNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := newDriverJob(t)
	jobEnv := "REVIEW_EXECUTOR_JOB=" + strconv.FormatInt(j.id, 10)
	for name, env := range map[string][]string{
		"with the response and no job_env": {},
		"with both":                        {jobEnv},
		"with an empty response":           {jobEnv, "JOB_RESPONSE_FILE=" + empty},
		"with no response":                 {jobEnv, "JOB_RESPONSE_FILE=/no/such/file"},
		"with a bare environment":          {jobEnv, "JOB_RESPONSE_FILE=", "HOME=", "TMPDIR=/no/such/dir"},
	} {
		clean := func() {
			t.Helper()
			j.env = env
			if got := j.stage("cleanup").succeeded(t); got.stdout+got.stderr != "" {
				t.Errorf("%s: stdout %q, stderr %q", name, got.stdout, got.stderr)
			}
			j.env = nil
			nothingLeft(t)
		}
		clean() // before prepare
		j.prepared()
		clean()
		clean()
	}
}

func TestConformance_CleanupOfAnUnknownJobTouchesNothing(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, env := range [][]string{{}, {"REVIEW_EXECUTOR_JOB="}, {"REVIEW_EXECUTOR_JOB=0"}, {"REVIEW_EXECUTOR_JOB=all"}} {
		j.env = append([]string{"JOB_RESPONSE_FILE="}, env...)
		j.stage("cleanup").succeeded(t).says(t, "the job is not known, so nothing of it is removed")
		j.env = nil
		j.run("build_script", "true").succeeded(t)
	}
}

// TestConformance_CleanupBesideALiveRun is what the runner does when a job has
// used up its time.
func TestConformance_CleanupBesideALiveRun(t *testing.T) {
	j := newDriverJob(t)
	for _, stage := range []string{"build_script", "get_sources"} {
		j.prepared()
		s := j.startRun(stage, "echo begun; sleep 1000").saying("begun")
		j.stage("cleanup").succeeded(t)
		nothingLeft(t)
		s.wait().exited(t, systemFailure, "ERROR")
	}
}

func TestConformance_CleanupsAtOnce(t *testing.T) {
	j := newDriverJob(t).prepared()
	first, second := j.start("cleanup"), j.start("cleanup")
	first.wait().succeeded(t)
	second.wait().succeeded(t)
	nothingLeft(t)
}

func TestConformance_CleanupLeavesTheReviewApp(t *testing.T) {
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.prepared().checkout(page("the release")).succeeded(t)
	j.run("build_script", "true").succeeded(t)
	j.stage("cleanup").succeeded(t)
	stillServing(t, "login", "the release", 1)
	if left := host.Leftovers(t); strings.Contains(strings.Join(left, "\n"), "review-job-") {
		t.Errorf("%v", left)
	}
}
