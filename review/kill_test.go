package review_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// scenario is something that can be killed at any of its operations.
type scenario struct {
	before     func(*world)
	do         func(*world)
	pages      []string // one of which it serves in the end
	supervised bool
}

var scenarios = map[string]scenario{
	"first deploy": {before: func(*world) {}, do: func(w *world) { w.full(1, "one", "a") }, pages: []string{"404", "one"}},
	"redeploy":     {before: func(w *world) { w.full(1, "one", "a") }, do: func(w *world) { w.full(2, "two", "b") }, pages: []string{"one", "two"}},
	"third deploy": {
		before: func(w *world) { w.full(1, "one", "a"); w.full(2, "two", "a") },
		do:     func(w *world) { w.full(3, "three", "a") },
		pages:  []string{"two", "three"},
	},
	"static deploy": {before: func(w *world) { w.full(1, "one", "a") }, do: func(w *world) { _, _ = w.Deploy(context.Background(), w.static(2, "two")) }, pages: []string{"one", "two"}},
	"back from static": {
		before: func(w *world) { w.publishes(w.static(1, "one")); w.publishes(w.static(2, "two")) },
		do:     func(w *world) { _, _ = w.rollback() }, pages: []string{"one", "two"},
	},
	"stop":     {before: func(w *world) { w.full(1, "one", "a") }, do: func(w *world) { _, _ = w.stop() }, pages: []string{"404", "one"}},
	"rollback": {before: func(w *world) { w.full(1, "one", "a"); w.full(2, "two", "b") }, do: func(w *world) { _, _ = w.rollback() }, pages: []string{"one", "two"}},
	"sync": {
		before: func(w *world) { w.full(1, "one", "a"); w.full(2, "two", "b"); w.engine.Wipe(false); w.forget() },
		do:     func(w *world) { _, _ = w.sync(false) }, pages: []string{"two"},
	},
	"sync after a crash": {before: func(w *world) { w.full(1, "one", "a"); w.engine.Crash() }, do: func(w *world) { _, _ = w.sync(false) }, pages: []string{"one"}},
	"sync of a killed stop": {
		before: func(w *world) { w.full(1, "one", "a"); w.killedAt(3, func() { _, _ = w.stop() }) },
		do:     func(w *world) { _, _ = w.sync(false) }, pages: []string{"404"},
	},
}

// everyScenario is each without and with a supervisor.
func everyScenario() map[string]scenario {
	all := maps.Clone(scenarios)
	for name, s := range scenarios {
		s.supervised = true
		all[name+", supervised"] = s
	}
	for name, s := range sleeping {
		s.supervised = true
		all[name] = s
	}
	return all
}

// sleeping are scenarios of apps that sleep.
var sleeping = map[string]scenario{
	"wake": {
		before: func(w *world) { w.full(1, "one", "a"); w.sleeps() },
		do:     func(w *world) { _ = w.units.Start(context.Background(), "login", releaseID(1)) }, pages: []string{"one"},
	},
	"sleep": {before: func(w *world) { w.full(1, "one", "a") }, do: func(w *world) { w.sleeps() }, pages: []string{"one"}},
	"redeploy of what sleeps": {
		before: func(w *world) { w.full(1, "one", "a"); w.sleeps() },
		do:     func(w *world) { w.full(2, "two", "b") }, pages: []string{"one", "two"},
	},
	"reboot": {
		before: func(w *world) { w.full(1, "one", "a"); w.engine.Crash(); w.units.Reboot() },
		do:     func(w *world) { _, _ = w.sync(false) }, pages: []string{"one"},
	},
	"supervisor from now on": {
		before: func(w *world) {
			w.Supervisor = nil
			w.full(1, "one", "a")
			w.Supervisor = w.units
		},
		do: func(w *world) { _, _ = w.sync(false) }, pages: []string{"one"},
	},
}

// sleeps sends the first release of login to sleep.
func (w *world) sleeps() { _ = w.units.Stop(context.Background(), "login", releaseID(1)) }

func (s scenario) world(t *testing.T) *world {
	w := newWorld(t)
	if s.supervised {
		w.supervised()
	}
	return w
}

// full deploys, from prepare to cleanup, an app that has everything: a companion
// of that user, a volume and a release command.
func (w *world) full(number int64, page, user string) {
	redis := w.redis()
	redis.Image = "base" // the same every time
	redis.Command = []string{"httpd"}
	redis.User = user
	job := w.with(number, page, redis)
	job.Settings.Volumes = []string{"/data"}
	job.Settings.ReleaseCommand = []string{"sh", "-c", "echo migrated"}
	if _, err := w.Prepare(context.Background(), job); err == nil {
		job.Prepared = true
		_, _ = w.Deploy(context.Background(), job)
	}
	app, _ := w.App(job)
	_ = w.Abandon(context.Background(), app, number)
}

// killedAt runs f in a goroutine that ends for good, as a killed process does, in
// the place of an operation or right behind a step: the n-th of both. Deferred
// calls run, as the kernel lets go of a dead process's locks. It tells where.
func (w *world) killedAt(n int, f func()) (where string) {
	var count atomic.Int64
	var killed atomic.Pointer[string]
	at := func(place string) {
		if killed.Load() != nil {
			runtime.Goexit()
		}
		if count.Add(1)-1 == int64(n) {
			killed.Store(&place)
			runtime.Goexit()
		}
	}
	w.fault = func(op string) error { at("before " + op); return nil }
	w.Done = func(_, step string) { at("after step " + step) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	w.fault, w.Done = nil, nil
	if place := killed.Load(); place != nil {
		return *place
	}
	return ""
}

func TestKill_EveryMomentLeavesWhatSyncMakesWhole(t *testing.T) {
	for name, s := range everyScenario() {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				w := s.world(t)
				s.before(w)
				where := w.killedAt(n, func() { s.do(w) })
				if !t.Run(fmt.Sprintf("%02d %s", n, where), func(t *testing.T) {
					w.t = t
					w.Gone = func(string) bool { return true }
					w.syncs()
					w.isWhole(s.pages...)
					w.deployed(9, "nine")
					w.isWhole("nine")
				}) || where == "" {
					break
				}
				if n > 200 {
					t.Fatal("it does not end")
				}
			}
		})
	}
}

// TestKill_OfTheEngineIsUndoneOrHealed has the engine fail from any operation on,
// until Sync.
func TestKill_OfTheEngineIsUndoneOrHealed(t *testing.T) {
	for name, s := range everyScenario() {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				w := s.world(t)
				s.before(w)
				count, reached := -1, ""
				w.fault = func(op string) error {
					if strings.Contains(op, " ") {
						return nil // the front and the checkout
					}
					if count++; count >= n {
						reached = op
						return fmt.Errorf("podman is gone")
					}
					return nil
				}
				s.do(w)
				w.fault = nil
				if !t.Run(fmt.Sprintf("%02d %s", n, reached), func(t *testing.T) {
					w.t = t
					w.Gone = func(string) bool { return true }
					w.syncs()
					w.isWhole(s.pages...)
				}) || reached == "" {
					break
				}
			}
		})
	}
}

// TestKill_ByAFullDisk has no room for any file from any operation on, until Sync.
func TestKill_ByAFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, s := range everyScenario() {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				w := s.world(t)
				s.before(w)
				count, reached := -1, ""
				room := func() {}
				w.fault = func(op string) error {
					if count++; count == n {
						reached, room = op, fill(t)
					}
					return nil
				}
				s.do(w)
				room()
				w.fault = nil
				if !t.Run(fmt.Sprintf("%02d %s", n, reached), func(t *testing.T) {
					w.t = t
					w.Gone = func(string) bool { return true }
					w.syncs()
					w.isWhole(s.pages...)
				}) || reached == "" {
					break
				}
			}
		})
	}
}

// isWhole asserts that login serves one of the pages, and that what exists is
// exactly what its record says.
func (w *world) isWhole(pages ...string) {
	w.t.Helper()
	if got := w.front.Get("login.review.example.org"); !slices.Contains(pages, got) {
		w.t.Errorf("it serves %q, want one of %q", got, pages)
	}
	w.isWholeApp("login")
}

func (w *world) isWholeApp(app string) {
	w.t.Helper()
	record, err := w.Records.Load(app)
	if err != nil {
		w.t.Fatal(err)
	}
	want, files := []string{}, []string{}
	if record != nil {
		want, files = existsOf(*record)
	}
	var got []string
	there, err := w.engine.Objects(context.Background(), map[string]string{review.LabelApp: app})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range there {
		if o.Kind == "container" && !o.Running && record != nil && w.awake(*record) {
			w.t.Errorf("%s does not run", o.Name)
		}
		got = append(got, o.Kind+" "+o.Name)
	}
	if w.units != nil {
		units, err := w.units.Units(context.Background(), app)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range units {
			got = append(got, o.Kind+" "+o.Name)
		}
		if record != nil && !record.Live.Static {
			want = append(want, "unit review-app-"+app+"-"+record.Live.ID)
		}
	}
	slices.Sort(got)
	// A volume may be there before the first release that has it, and stays.
	got = slices.DeleteFunc(got, func(o string) bool {
		return record != nil && strings.HasPrefix(o, "volume ") && !slices.Contains(want, o)
	})
	if diff := cmp.Diff(want, got, cmp.Transformer("", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		w.t.Errorf("what exists of %s (-want +got):\n%s", app, diff)
	}
	var found []string
	for _, kind := range []string{"secrets", "sites"} {
		entries, _ := os.ReadDir(filepath.Join(w.dir, kind, app))
		for _, entry := range entries {
			found = append(found, kind+" "+entry.Name())
		}
	}
	if diff := cmp.Diff(files, append([]string{}, found...)); diff != "" {
		w.t.Errorf("files of %s (-want +got):\n%s", app, diff)
	}
	if served := slices.Contains(w.front.Hosts(), app+".review.example.org"); served != (record != nil) {
		w.t.Errorf("the front serves it: %t, there is a record: %t", served, record != nil)
	}
}

// awake tells whether the containers of an app must run: it has no unit, or one that
// is awake.
func (w *world) awake(r review.Record) bool {
	if w.units == nil || r.Live.Static {
		return true
	}
	asleep, err := w.Asleep(context.Background(), []review.Record{r})
	if err != nil {
		w.t.Fatal(err)
	}
	return !asleep[r.Name]
}

// existsOf is what must exist for a record, and nothing else.
func existsOf(r review.Record) (objects, files []string) {
	releases := []review.Release{r.Live}
	if r.Previous != nil {
		releases = append(releases, *r.Previous)
	}
	for _, release := range releases {
		files = append(files, "secrets "+release.ID+".json")
		if release.Static {
			files = append(files, "sites "+release.ID)
			continue
		}
		objects = append(objects, "image localhost/review/"+r.Name+":"+release.ID)
	}
	if !r.Live.Static {
		objects = append(objects, "container review-app-"+r.Name+"-"+r.Live.ID)
	}
	for _, c := range r.Live.Companions {
		objects = append(objects, "container review-app-"+r.Name+"-"+c.Name+"-"+c.Since)
	}
	if slices.ContainsFunc(releases, func(r review.Release) bool { return !r.Static }) {
		objects = append(objects, "network review-app-"+r.Name)
	}
	slices.Sort(objects)
	slices.Sort(files)
	return objects, files
}
