package review_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func (w *world) rollback() (log string, err error) {
	w.t.Helper()
	app, err := w.App(w.job(0, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	err = w.Rollback(context.Background(), app, review.NewLog(&b))
	return b.String(), err
}

func (w *world) rollsBack() {
	w.t.Helper()
	if _, err := w.rollback(); err != nil {
		w.t.Fatal(err)
	}
}

// pulling is a registry with one image, which serves a page.
func (w *world) pulling(name, page string) func(context.Context, string, io.Writer) (review.Image, error) {
	return func(_ context.Context, asked string, _ io.Writer) (review.Image, error) {
		if asked != name {
			w.t.Errorf("%s was pulled", asked)
		}
		return w.engine.Add(name, map[string]string{"index.html": page}, "httpd"), nil
	}
}

func TestRollback_BringsTheVersionBeforeBack(t *testing.T) {
	w := newWorld(t)
	one := w.job(1, site("one"))
	one.Settings.Env = map[string]string{"COLOUR": "blue"}
	if _, err := w.Deploy(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	w.deployed(2, "two")
	log, err := w.rollback()
	if err != nil {
		t.Fatal(err)
	}
	w.serves("login", "one")
	w.isRunning("1111111-1")
	if got := w.engine.Running()[0].Env["COLOUR"]; got != "blue" {
		t.Errorf("its environment has COLOUR=%s", got)
	}
	for _, line := range []string{"Rolling review app login back to version 1111111\n", "retired    version 2222222", "Ready: https://login.review.example.org\n"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q:\n%s", line, log)
		}
	}
	w.rollsBack() // and forward again
	w.serves("login", "two")
	w.deployed(3, "three")
	w.holds(release(3, 2)...)
}

func TestRollback_WithoutAVersionBeforeIsRefused(t *testing.T) {
	w := newWorld(t)
	_, err := w.rollback()
	fails(t, err, review.System, `there is no version of review app "login" before`, "nothing was changed")
	w.deployed(1, "one")
	_, err = w.rollback()
	fails(t, err, review.System, `there is no version of review app "login" before`)
	w.isBack()
}

func TestRollback_ThatIsUnhealthyKeepsWhatServes(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.deployed(2, "two")
	w.fault = func(op string) error {
		if op == "Start" {
			return &review.Failure{Kind: review.Build, What: "it cannot start"}
		}
		return nil
	}
	_, err := w.rollback()
	w.fault = nil
	fails(t, err, review.Build, "it cannot start", "the version of 2222222 is still serving")
	w.serves("login", "two")
	w.rollsBack() // the version before is still there
	w.serves("login", "one")
}
