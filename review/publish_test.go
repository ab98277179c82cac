package review_test

import (
	"errors"
	"slices"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// apps deploys these apps, each with its name as its page.
func (w *world) apps(names ...string) {
	w.t.Helper()
	for n, name := range names {
		job := w.job(int64(n+1), site(name))
		job.Environment = "review/" + name
		if _, err := w.Deploy(w.t.Context(), job); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestApplyFront_ServesWhatTheRecordsSay(t *testing.T) {
	w := newWorld(t)
	w.apps("a", "b", "c")
	if err := w.Records.Delete("b"); err != nil {
		t.Fatal(err)
	}
	refused, err := w.ApplyFront(t.Context())
	if err != nil || len(refused) > 0 {
		t.Errorf("refused %v, %v", refused, err)
	}
	if want := []string{"a.review.example.org", "c.review.example.org"}; !slices.Equal(want, w.front.Hosts()) {
		t.Errorf("it serves %v, want %v", w.front.Hosts(), want)
	}
}

func TestApplyFront_AppWithDamagedRecordStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	w.apps("a", "login")
	w.damage("login")
	refused, err := w.ApplyFront(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	isProblem(t, "login", refused["login"], "login.json is damaged")
	w.serves("a", "a")
	w.serves("login", "login")
	w.apps("a2") // another app's deploy neither fails nor takes it away
	w.serves("a2", "a2")
	w.serves("login", "login")
}

func TestApplyFront_RefusedAppDoesNotKeepOthersOut(t *testing.T) {
	w := newWorld(t)
	w.apps("a", "b")
	w.front.Refuse = map[string]error{"a": errors.New("AH00526")}
	w.apps("c")
	refused, err := w.ApplyFront(t.Context())
	if err != nil || len(refused) != 1 || refused["a"] == nil {
		t.Errorf("refused %v, %v; want a", refused, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		w.serves(name, name)
	}
}

func TestApplyFront_FailureIsToldAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.apps("a")
	w.fault = func(string) error { return errors.New("out of luck") }
	refused, err := w.ApplyFront(t.Context())
	fails(t, err, review.System, "out of luck")
	if refused != nil {
		t.Errorf("refused %v", refused)
	}
	w.serves("a", "a")
	w.fault = nil
	if _, err := w.ApplyFront(t.Context()); err != nil { // the lock was let go
		t.Error(err)
	}
}
