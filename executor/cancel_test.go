package executor

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRun_CancelKillsTheScriptWhereItRuns: the end of our connection would not.
func TestRun_CancelKillsTheScriptWhereItRuns(t *testing.T) {
	for stage, container := range map[string]string{"build_script": "review-job-4711", "get_sources": "review-job-4711-helper"} {
		s := newStages(t, nil).prepared()
		ctx, cancel := context.WithCancel(t.Context())
		killed := make(chan struct{})
		s.engine.written = func() { cancel(); <-killed }
		s.engine.signalled = func() { close(killed) }
		err := s.Run(ctx, writeFile(t, []byte("sleep 1000")), stage)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", stage, err)
		}
		if diff := cmp.Diff([]string{"signal " + container + " USR1"}, s.engine.did("signal")); diff != "" {
			t.Error(diff)
		}
		if len(s.engine.running) != 2 || len(s.engine.did("build")) > 0 {
			t.Errorf("running %v, did %v", s.engine.running, s.engine.calls)
		}
		s.engine.written = nil
		if err := s.run("after_script"); err != nil {
			t.Errorf("after_script: %v", err)
		}
	}
}

func TestCleanup_GoesOnWhenItIsCancelled(t *testing.T) {
	s := newStages(t, nil).prepared()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Cleanup(ctx); err != nil || len(s.engine.running) > 0 {
		t.Errorf("%v, running %v", err, s.engine.running)
	}
}

func TestCache_NoTwoJobsHaveOne(t *testing.T) {
	caches := object{"cache": []object{{"key": "x"}}}
	first := newStages(t, caches).prepared()
	caches["id"] = 4712
	second := newStages(t, caches)
	second.engine, second.Engine, second.Apps.Containers = first.engine, first.engine, first.engine
	second.prepared()
	caches["id"], caches["git_info"] = 4713, object{"ref": "main", "sha": testSHA, "protected": true}
	protected := newStages(t, caches)
	protected.engine, protected.Engine, protected.Apps.Containers = first.engine, first.engine, first.engine
	protected.prepared()

	var mounted []string
	for _, name := range []string{"review-job-4711", "review-job-4712-helper", "review-job-4713"} {
		for volume, dest := range first.engine.running[name].Volumes {
			if dest == CacheDir {
				mounted = append(mounted, volume)
			}
		}
	}
	if diff := cmp.Diff([]string{"review-cache-7-unprotected-0", "review-cache-7-unprotected-1", "review-cache-7-protected-0"}, mounted); diff != "" {
		t.Error(diff)
	}
	if chowned := first.engine.running["review-job-4712-helper"].Chown; !slices.Equal(chowned, []string{"review-cache-7-unprotected-1"}) {
		t.Error(chowned)
	}
}

func TestCache_JobWithoutOneHasNoVolume(t *testing.T) {
	s := newStages(t, nil).prepared()
	if diff := cmp.Diff([]string{"volume review-job-4711"}, s.engine.did("volume")); diff != "" {
		t.Error(diff)
	}
}

func TestWorkspace_LimitThatTheStoreCannotHoldIsTheOperatorsToKnow(t *testing.T) {
	s := newStages(t, nil)
	s.Jobs.WorkspaceSize, s.engine.noQuota = 1<<30, true
	s.prepared()
	entry := s.journal.LastEntry()
	if entry == nil || entry.Message != "jobs.workspace_size is not enforced: the store cannot limit a volume" {
		t.Errorf("%+v", entry)
	}
}
