package review_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

func (w *world) sync(dryRun bool) (log string, err error) {
	w.t.Helper()
	var b bytes.Buffer
	err = w.Sync(context.Background(), review.NewLog(&b), review.SyncOptions{DryRun: dryRun})
	return b.String(), err
}

// syncs asserts that Sync succeeds, and that a second has nothing to do.
func (w *world) syncs() (log string) {
	w.t.Helper()
	log, err := w.sync(false)
	if err != nil {
		w.t.Fatal(err)
	}
	if again, err := w.sync(false); err != nil || again != "" {
		w.t.Errorf("the second sync: %q, %v", again, err)
	}
	return log
}

// full is a world with an app that has everything, and its inventory.
func everything(t *testing.T) (*world, []string) {
	w := newWorld(t)
	w.deployed(1, "one")
	job := w.with(2, "two", w.redis())
	job.Settings.Volumes = []string{"/data"}
	job.Settings.ReleaseCommand = []string{"sh", "-c", "echo migrated"}
	w.both(job)
	return w, w.engine.Inventory()
}

func TestSync_RestoresWhatTheRecordsSay(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*world)
		log  string
	}{
		"nothing was lost":         {func(*world) {}, ""},
		"everything has ended":     {func(w *world) { w.engine.Crash() }, "login: started again\n"},
		"the containers are gone":  {func(w *world) { w.engine.Wipe(false) }, "login: made anew from its image\n"},
		"the front forgot its app": {func(w *world) { w.forget() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, before := everything(t)
			record, _ := w.Records.Load("login")
			c.harm(w)
			if log := w.syncs(); !strings.HasSuffix(log, c.log) || (log == "") != (c.log == "") {
				t.Errorf("it says %q, want %q", log, c.log)
			}
			w.serves("login", "two")
			w.holds(before...)
			if after, _ := w.Records.Load("login"); after.Live.Backend != record.Live.Backend {
				t.Errorf("it moved from %s to %s, and the front had to be changed", record.Live.Backend, after.Live.Backend)
			}
			if env := w.engine.Running()[1].Env; env["PASSWORD"] != "s3cret" {
				t.Errorf("the companion's environment is %v", env)
			}
		})
	}
}

// forget makes the front serve nothing, as when its files were removed.
func (w *world) forget() {
	if _, err := w.front.Apply(context.Background(), nil, nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestSync_LostImageIsSaidAndLeavesTheRecord(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	other := w.job(2, site("other"))
	other.Environment = "review/other"
	if _, err := w.Deploy(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	w.engine.Wipe(true)
	log, err := w.sync(false)
	fails(t, err, review.System, "2 of 2 apps could not be brought to what their records say")
	for _, text := range []string{`ERROR: login: review app "login" cannot be restored`, `ERROR: other: review app "other" cannot be restored`, "hint: retry job 1 in GitLab"} {
		if !strings.Contains(log, text) {
			t.Errorf("it does not say %q:\n%s", text, log)
		}
	}
	if w.record() == "" {
		t.Error("the record is gone")
	}
	w.deployed(3, "three") // heals it
}

func TestSync_RemovesWhatNoRecordOwns(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	// Of another app, of an older release, and files.
	labels := map[string]string{review.LabelApp: "orphan", review.LabelRole: review.RoleApp}
	if err := w.engine.EnsureNetwork(t.Context(), "review-app-orphan", labels); err != nil {
		t.Fatal(err)
	}
	old := map[string]string{review.LabelApp: "login", review.LabelRole: review.RoleApp, review.LabelRelease: "0000000-0"}
	if _, err := w.engine.Start(t.Context(), review.Container{Name: "old", Image: reviewtest.Base, Command: []string{"sleep"}, Labels: old}); err != nil {
		t.Fatal(err)
	}
	if err := w.Records.SaveSecrets("orphan", "0000000-0", review.Secrets{}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.dir, "sites", "gone", "0000000-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	preview, err := w.sync(true)
	if err != nil || !strings.Contains(preview, "orphan: would remove network review-app-orphan\n") || !strings.Contains(preview, "login: would remove container old\n") {
		t.Errorf("dry run: %q, %v", preview, err)
	}
	w.syncs()
	w.holds(release(1)...)
	for _, dir := range []string{"secrets/orphan", "sites/gone"} {
		if _, err := os.Stat(filepath.Join(w.dir, dir)); err == nil {
			t.Errorf("there is still %s", dir)
		}
	}
	w.isBack()
}

func TestSync_LeavesAloneWhatSomebodyWorksOnOrCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	unlock, err := w.Records.Lock(t.Context(), "login", func() {})
	if err != nil {
		t.Fatal(err)
	}
	w.engine.Crash()
	if log, err := w.sync(false); err != nil || log != "login: somebody works on it\n" {
		t.Errorf("%q, %v", log, err)
	}
	unlock()
	w.syncs()
	w.damage("login")
	before := w.engine.Inventory()
	if log, err := w.sync(false); err == nil || !strings.Contains(log, "is damaged") {
		t.Errorf("%v\n%s", err, log)
	}
	w.holds(before...)
	w.serves("login", "one")
}

func TestSync_PendingReleasesGoWithTheirOwner(t *testing.T) {
	w := newWorld(t)
	gone := false
	w.Gone = func(owner string) bool { return gone && owner == "runner" }
	w.prepares(w.with(1, "one", w.redis()))
	w.syncs()
	w.isRunning("redis-1111111-1")
	gone = true
	w.syncs()
	w.isRunning()
	if w.Records.Delete("login") != nil || w.record() != "" {
		t.Error("there is a record")
	}
}

func TestSync_FinishesAKilledStop(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	record, _ := w.Records.Load("login")
	record.Stopping = true
	save(t, w.Records, *record)
	w.syncs()
	w.isGone()
}
