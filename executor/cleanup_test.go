package executor

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var removed = []string{"remove app= job=4711"}

func TestCleanup_RemovesTheJobAndNotItsApp(t *testing.T) {
	s := newStages(t, nil).prepared()
	if err := s.run("build_script"); err != nil {
		t.Fatal(err)
	}
	s.engine.calls = nil
	if err := s.Cleanup(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(removed, s.engine.did("remove")); diff != "" {
		t.Error(diff)
	}
	if len(s.engine.running) != 1 || len(s.front.sites) != 1 { // the app
		t.Errorf("running %v, serving %v", s.engine.running, s.front.sites)
	}
}

func TestCleanup_TwiceAndBeforePrepare(t *testing.T) {
	s := newStages(t, nil)
	for range 2 {
		if err := s.Cleanup(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// TestCleanup_WithoutAJobResponse finds the job by what config told the runner.
func TestCleanup_WithoutAJobResponse(t *testing.T) {
	for name, file := range map[string]string{"not named": "", "missing": filepath.Join(t.TempDir(), "missing"), "empty": writeFile(t, nil)} {
		s := newStages(t, nil)
		s.Env["JOB_RESPONSE_FILE"], s.Env[jobEnv] = file, "4711"
		if err := s.Cleanup(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(removed, s.engine.did("remove")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestCleanup_JobResponseCountsMore: nobody but GitLab writes it.
func TestCleanup_JobResponseCountsMore(t *testing.T) {
	s := newStages(t, nil)
	s.Env[jobEnv] = "666"
	if err := s.Cleanup(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(removed, s.engine.did("remove")); diff != "" {
		t.Error(diff)
	}
}

func TestCleanup_UnknownJobIsSaidAndNothingIsRemoved(t *testing.T) {
	for _, id := range []string{"", "x", "0", "-4711", "4711 "} {
		s := newStages(t, nil)
		s.Env["JOB_RESPONSE_FILE"], s.Env[jobEnv] = writeFile(t, nil), id
		if err := s.Cleanup(context.Background()); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if len(s.engine.calls) > 0 {
			t.Errorf("%q: %v", id, s.engine.calls)
		}
		if !strings.Contains(s.stderr.String(), "the job is not known, so nothing of it is removed") {
			t.Errorf("%q: it says %q", id, s.stderr)
		}
	}
}

func TestCleanup_NamesTheJobThatItCannotRemove(t *testing.T) {
	s := newStages(t, nil)
	s.engine.broken["remove"] = errors.New("no answer")
	if err := s.Cleanup(context.Background()); err == nil || !strings.Contains(err.Error(), "job 4711: no answer") {
		t.Error(err)
	}
}
