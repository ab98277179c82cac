package review_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestStrays_AreWhatNoRecordOwns(t *testing.T) {
	w, _ := everything(t)
	if strays, err := w.Strays(t.Context()); err != nil || len(strays) != 0 {
		t.Errorf("of what is recorded: %v, %v", strays, err)
	}
	if _, err := w.engine.CreateVolume(t.Context(), "old", map[string]string{review.LabelApp: "old", review.LabelRole: review.RoleApp}, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Records.Delete("login"); err != nil {
		t.Fatal(err)
	}
	before := w.engine.Inventory()
	strays, err := w.Strays(t.Context())
	if err != nil || !slices.Equal(strays["old"], []string{"volume old"}) || len(strays["login"]) == 0 {
		t.Errorf("%v, %v", strays, err)
	}
	// Somebody works on the one, and the other's record is damaged.
	unlock, err := w.Records.TryLock("login")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := os.WriteFile(filepath.Join(w.dir, "apps", "old.json"), []byte("{"), 0o640); err != nil {
		t.Fatal(err)
	}
	if strays, err := w.Strays(t.Context()); err != nil || len(strays) != 0 {
		t.Errorf("of others: %v, %v", strays, err)
	}
	if after := w.engine.Inventory(); !slices.Equal(after, before) {
		t.Errorf("something was changed: %v, before %v", after, before)
	}
}

func TestSilent_AppsAreRecordedAndNotServed(t *testing.T) {
	w, _ := everything(t)
	if silent, err := w.Silent(t.Context()); err != nil || len(silent) != 0 {
		t.Errorf("what serves: %v, %v", silent, err)
	}
	for name, c := range map[string]struct {
		harm func()
		why  string
	}{
		"a container has ended": {w.engine.Crash, "does not run"},
		"the front forgot it":   {w.forget, ""},
	} {
		c.harm()
		silent, err := w.Silent(t.Context())
		if err != nil || silent["login"] == nil || !strings.Contains(silent["login"].Error(), c.why) {
			t.Errorf("%s: %v, %v", name, silent, err)
		}
		w.syncs()
	}
}

// A sleeping app is well as long as somebody listens for its next request.
func TestSilent_AsleepIsNotSilent(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	w.change("login", func(r *review.Record) { r.Live.Socket, r.Live.Backend = true, listener.Addr().String() })
	if _, err := w.ApplyFront(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.engine.Crash()
	if silent, err := w.Silent(t.Context()); err != nil || len(silent) != 0 {
		t.Errorf("asleep: %v, %v", silent, err)
	}
	listener.Close()
	if silent, err := w.Silent(t.Context()); err != nil || silent["login"] == nil || !strings.Contains(silent["login"].Error(), "nobody listens on") {
		t.Errorf("nobody listens: %v, %v", silent, err)
	}
}
