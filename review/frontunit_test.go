package review_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// unit is the front's unit as systemd runs it: a start joins the run that goes on.
type unit struct {
	results string
	run     func() error

	mu    sync.Mutex
	going chan struct{} // closed when the run that goes on has ended
	runs  int
	ended string // how the last one has
}

func (u *unit) Start(context.Context) (string, error) {
	u.mu.Lock()
	if u.going == nil {
		u.going, u.runs = make(chan struct{}), u.runs+1
		go func() {
			err := u.run()
			u.mu.Lock()
			defer u.mu.Unlock()
			u.ended = "done"
			if err != nil {
				u.ended = "failed"
			}
			close(u.going)
			u.going = nil
		}()
	}
	going := u.going
	u.mu.Unlock()
	<-going
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended, nil
}

func (u *unit) Results() string { return u.results }

func (u *unit) Unfinished(result string) error { return errors.New("unfinished: " + result) }

// byUnit has the front of a world run by a unit.
func (w *world) byUnit() *unit {
	u := &unit{results: filepath.Join(w.t.TempDir(), "front.json")}
	run := *w.Lifecycle
	u.run = func() error {
		_, err := run.RunFront(context.Background(), u.results)
		return err
	}
	w.FrontUnit = u
	return u
}

func TestFrontUnit_NoneReturnsBeforeARunThatSawItsRecord(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	_, begun := w.countRuns(release)
	u := w.byUnit()
	const calls = 20
	var waiting, done sync.WaitGroup
	apply := func(n int) {
		host := w.saved(n)
		waiting.Done()
		if _, err := w.ApplyFront(t.Context()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(strings.Join(w.front.Hosts(), " "), host) {
			t.Errorf("%s is not served", host)
		}
	}
	waiting.Add(1)
	done.Go(func() { apply(0) })
	<-begun // it has read the records: the others' are not among them
	waiting.Add(calls)
	for n := range calls {
		done.Go(func() { apply(n + 1) })
	}
	waiting.Wait()
	close(release)
	done.Wait()
	if u.runs > calls/2 {
		t.Errorf("%d calls made %d runs", calls+1, u.runs)
	}
}

func TestFrontUnit_TellsWhatWasRefused(t *testing.T) {
	w := newWorld(t)
	w.apps("a", "b")
	w.front.Refuse = map[string]error{"a": errors.New("AH00526")}
	w.byUnit()
	refused, err := w.ApplyFront(t.Context())
	if err != nil || len(refused) != 1 {
		t.Errorf("refused %v, %v", refused, err)
	}
	isProblem(t, "a", refused["a"], "AH00526")
}

func TestFrontUnit_FailureIsToldWhole(t *testing.T) {
	w := newWorld(t)
	want := &review.Failure{What: "Apache refuses", Cause: errors.New("AH1"), Lines: []string{"one", "two"}, State: "as before", Hint: "mend it"}
	w.fault = func(op string) error {
		if op == "front Apply" {
			return want
		}
		return nil
	}
	w.byUnit()
	_, err := w.ApplyFront(t.Context())
	if diff := cmp.Diff(want.Text(), review.AsFailure(err).Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFrontUnit_EarlierResultIsNotTakenForThisRuns has a unit that ends before it
// tells anything.
func TestFrontUnit_EarlierResultIsNotTakenForThisRuns(t *testing.T) {
	w := newWorld(t)
	u := w.byUnit()
	if _, err := w.ApplyFront(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.run = func() error { return errors.New("killed") }
	if _, err := w.ApplyFront(t.Context()); err == nil || err.Error() != "unfinished: failed" {
		t.Errorf("got %v", err)
	}
}

func TestFrontUnit_LeavesTheStateAsItIs(t *testing.T) {
	w := newWorld(t)
	w.Pages = nowhere{}
	u := w.byUnit()
	for n := range 3 {
		w.saved(n)
	}
	if err := w.Records.SaveEnding(review.Ending{App: review.App{Name: "gone", Host: "gone.review.example.org"}}); err != nil {
		t.Fatal(err)
	}
	before := tree(t, w.dir)
	if err := u.run(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, w.dir)); diff != "" {
		t.Errorf("the state is another (-before +after):\n%s", diff)
	}
}

// nowhere are pages that nobody sees.
type nowhere struct{}

func (nowhere) Write(review.Overview) error { return nil }

// tree is every path below dir, with the content of files.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			data, err := os.ReadFile(path)
			all[path] = string(data)
			return err
		}
		all[path] = entry.Type().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFrontUnit_HostileRecordsCostOnlyThemselves plants what the owner of the state can
// make: each is refused by its app's name, tells nothing of what lies elsewhere, and
// the other apps are served.
func TestFrontUnit_HostileRecordsCostOnlyThemselves(t *testing.T) {
	w := newWorld(t)
	w.saved(1)
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, []byte("root:SECRET:1::"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(w.dir, "apps", "app-1.json")
	record := func(app string) string { return filepath.Join(w.dir, "apps", app+".json") }
	for app, plant := range map[string]func(path string) error{
		"outward":   func(path string) error { return os.Symlink(elsewhere, path) },
		"inward":    func(path string) error { return os.Symlink(good, path) },
		"relative":  func(path string) error { return os.Symlink("../../../../../../../../etc/passwd", path) },
		"endless":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"itself":    func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"othername": func(path string) error { return os.Link(elsewhere, path) },
		"long":      func(path string) error { return os.WriteFile(path, []byte(strings.Repeat(" ", 2<<20)), 0o644) },
		"sparse":    func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) },
		"deep":      func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("[", 1<<19)), 0o644) },
		"binary":    func(path string) error { return os.WriteFile(path, []byte("\x00\xff\x1b[2J"), 0o644) },
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		if err := plant(record(app)); err != nil {
			t.Fatal(err)
		}
	}
	w.byUnit()
	refused, err := w.ApplyFront(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(refused) != 13 {
		t.Errorf("refused %d: %v", len(refused), refused)
	}
	for app, why := range refused {
		if strings.Contains(why.Error(), "SECRET") || strings.Contains(why.Error(), "root") || strings.ContainsAny(why.Error(), "\x00\x1b") {
			t.Errorf("%s: %q", app, why)
		}
	}
	if diff := cmp.Diff([]string{"app-1.review.example.org"}, w.front.Hosts()); diff != "" {
		t.Errorf("serves (-want +got):\n%s", diff)
	}
}

// TestFrontUnit_HostileDirectories has links, pipes and files where directories of
// the state should be.
func TestFrontUnit_HostileDirectories(t *testing.T) {
	elsewhere := t.TempDir()
	stranger := `{"version": 2, "name": "stranger", "host": "stranger.review.example.org", "project": "SECRET", "live": {"id": "1111111-1"}, "began": "2026-01-01T00:00:00Z", "reason": "SECRET"}`
	if err := os.WriteFile(filepath.Join(elsewhere, "stranger.json"), []byte(stranger), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path string) error{
		"link": func(path string) error { return os.Symlink(elsewhere, path) },
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"file": func(path string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		for _, dir := range []string{"apps", "attempts", "ended"} {
			t.Run(name+" "+dir, func(t *testing.T) {
				w := newWorld(t)
				var seen seenPages
				w.Pages = &seen
				w.saved(1)
				path := filepath.Join(w.dir, dir)
				if err := errors.Join(os.RemoveAll(path), plant(path)); err != nil {
					t.Fatal(err)
				}
				u := w.byUnit()
				_, err := w.ApplyFront(t.Context())
				if dir == "apps" && err == nil {
					t.Error("the records are not where they were, and nobody was told")
				}
				if dir != "apps" && (err != nil || len(w.front.Hosts()) != 1) {
					t.Errorf("serves %v, %v", w.front.Hosts(), err)
				}
				told, _ := os.ReadFile(u.results)
				if strings.Contains(string(told)+seen.text, "SECRET") {
					t.Errorf("told of what lies elsewhere:\n%s\n%s", told, seen.text)
				}
			})
		}
	}
}

// seenPages keeps what was to be shown.
type seenPages struct{ text string }

func (s *seenPages) Write(o review.Overview) error {
	s.text = cmp.Diff(nil, o)
	return nil
}

// TestOverview_HostsOfOthersAreNotShown: nobody is sent to a host that is not its app's own.
func TestOverview_HostsOfOthersAreNotShown(t *testing.T) {
	w := newWorld(t)
	var seen seenPages
	w.Pages = &seen
	w.saved(1)
	text, err := os.ReadFile(filepath.Join(w.dir, "apps", "app-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"attempts", "ended"} {
		if err := os.MkdirAll(filepath.Join(w.dir, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	w.write("apps/app-1.json", strings.Replace(string(text), "app-1.review.example.org", "phishing.invalid", 1))
	w.write("attempts/try.json", `{"name": "try", "host": "phishing.invalid"}`)
	w.write("ended/end.json", `{"name": "end", "host": "phishing.invalid"}`)
	w.write("attempts/fine.json", `{"name": "fine", "host": "fine.review.example.org"}`)
	w.byUnit()
	if _, err := w.ApplyFront(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(seen.text, "phishing") || !strings.Contains(seen.text, "fine.review.example.org") {
		t.Errorf("shown:\n%s", seen.text)
	}
}
