package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func (w *world) stop() (log string, err error) {
	w.t.Helper()
	app, err := w.App(w.job(0, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	err = w.Stop(context.Background(), app, review.ByJob, review.NewLog(&b))
	return b.String(), err
}

func (w *world) isGone() {
	w.t.Helper()
	w.holds()
	w.serves("login", "404")
	if got := w.record(); got != "" {
		w.t.Errorf("there is a record of %s", got)
	}
}

func TestStop_TwiceIsNoError(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	for _, want := range []string{
		"Stopped review app login; nothing of it is left\n",
		"Review app login was not running; nothing of it is left\n",
	} {
		log, err := w.stop()
		if err != nil || log != want {
			t.Errorf("%q, %v; want %q", log, err, want)
		}
		w.isGone()
	}
}

func TestStop_OtherAppsStay(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	job := w.job(2, site("other"))
	job.Environment = "review/other"
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "404")
	w.serves("other", "other")
	w.holds("container review-app-other-2222222-2", "image localhost/review/other:2222222-2", "network review-app-other")
}

func TestStop_AppOfSomebodyElseIsRefused(t *testing.T) {
	w := newWorld(t)
	w.deployed(4711, "one")
	for _, app := range []review.App{
		{Name: "login", ProjectID: 43, Environment: "review/login"},
		{Name: "login", ProjectID: 42, Environment: "login"},
		{Name: "login"},
	} {
		err := w.Stop(t.Context(), app, review.ByJob, review.NewLog(&bytes.Buffer{}))
		fails(t, err, review.Build, `already serves group/shop, environment "review/login"`, "(job 4711)", "nothing was changed")
	}
	w.serves("login", "one")
	w.holds(release(4711)...)
}

func TestStop_DamagedRecordStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.damage("login")
	_, err := w.stop()
	fails(t, err, review.System, "login.json is damaged")
	w.serves("login", "one")
	w.holds(release(1)...)
}

// TestStop_FailureAtEveryStepIsFinishedByTheNext lets every operation fail
// once, as if the job were killed there.
func TestStop_FailureAtEveryStepIsFinishedByTheNext(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	var all []string
	w.fault = func(op string) error { all = append(all, op); return nil }
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if front, engine := slices.Index(all, "front Apply"), slices.Index(all, "Remove"); front < 0 || engine < front {
		t.Errorf("%v, want the app off the front before its containers are removed", all)
	}
	for n, op := range all {
		t.Run(fmt.Sprintf("%02d %s", n, op), func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			w.failAt(n, func() error { return errors.New("out of luck") })
			_, err := w.stop()
			fails(t, err, review.System, "out of luck", "stopping it again is safe")
			w.fault = nil
			app, err := w.Find(t.Context(), "login")
			if err != nil || app.Name != "login" {
				t.Errorf("what is left is not found: %+v, %v", app, err)
			}
			if _, err := w.stop(); err != nil {
				t.Error(err)
			}
			w.isGone()
		})
	}
}

func TestFind(t *testing.T) {
	w := newWorld(t)
	_, err := w.Find(t.Context(), "login")
	fails(t, err, review.System, `there is no review app "login"`, "nothing was changed", "review-executor list")
	w.deployed(1, "one")
	app, err := w.Find(t.Context(), "login")
	if err != nil || app.Host != "login.review.example.org" || app.ProjectID != 42 {
		t.Errorf("found %+v, %v", app, err)
	}
	if err := w.Records.Delete("login"); err != nil {
		t.Fatal(err)
	}
	if app, err = w.Find(t.Context(), "login"); err != nil || app != (review.App{Name: "login"}) {
		t.Errorf("without its record found %+v, %v", app, err)
	}
	w.damage("login")
	_, err = w.Find(t.Context(), "login")
	fails(t, err, review.System, "login.json is damaged")
	_, err = w.Find(t.Context(), "../login")
	fails(t, err, review.System, "is no host label")
}
