package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// opened is a queue that is closed with the test, and what was left in it.
func opened(t *testing.T, dir string) (*queue, []*item) {
	t.Helper()
	q, left, err := openQueue(dir, silent())
	if err != nil {
		t.Fatal(err)
	}
	q.start(func([]*item) {})
	t.Cleanup(func() { quit(q) })
	return q, left
}

// quit ends what of the queue is a process.
func quit(q *queue) {
	select {
	case <-q.stopped:
	default:
		q.stop()
	}
	q.unlock()
}

// reopened is the queue after a restart.
func reopened(t *testing.T, q *queue) (*queue, []*item) {
	t.Helper()
	quit(q)
	return opened(t, q.dir)
}

func event(id string) review.Event {
	return review.Event{ID: "gitlab:" + id, Kind: review.BranchDeleted, ProjectID: 4711, Project: "group/shop", Branch: id, Received: time.Now().UTC()}
}

func keeps(t *testing.T, q *queue, id string, want bool) {
	t.Helper()
	if isNew, err := q.keep(t.Context(), event(id)); err != nil || isNew != want {
		t.Errorf("event %s is new: %v, want %v: %v", id, isNew, want, err)
	}
}

func branches(items []*item) []string {
	var all []string
	for _, i := range items {
		all = append(all, i.event.Branch)
	}
	return all
}

// files are the names in a directory of the queue.
func files(t *testing.T, q *queue, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(q.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestQueue_KeepsOrderOverRestarts(t *testing.T) {
	q, left := opened(t, t.TempDir())
	if len(left) != 0 {
		t.Fatalf("a new queue has %v", branches(left))
	}
	var want []string
	for i := range 12 {
		id := fmt.Sprintf("b%d", 11-i) // so that no other order is this one
		keeps(t, q, id, true)
		want = append(want, id)
		if i%5 == 4 {
			q, _ = reopened(t, q)
		}
	}
	q, left = reopened(t, q)
	if got := branches(left); !slices.Equal(got, want) {
		t.Errorf("they are %v, want %v", got, want)
	}
	if !left[3].event.Received.Equal(left[3].event.Received.UTC()) || left[3].event.ProjectID != 4711 {
		t.Errorf("it is %+v", left[3].event)
	}
	for _, i := range left { // and the numbers go on where nothing waits
		q.finish(i)
	}
	q, _ = reopened(t, q)
	keeps(t, q, "last", true)
	_, left = reopened(t, q)
	if len(left) != 1 || left[0].number != 13 {
		t.Errorf("there are %v", left)
	}
}

func TestQueue_OneProcessHasIt(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	_, _, err := openQueue(q.dir, silent())
	if !errors.Is(err, errLocked) {
		t.Errorf("another one gets %v", err)
	}
	keeps(t, q, "a", true)
}

func TestQueue_RemembersWhatCame(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "waiting", true)
	keeps(t, q, "done", true)
	keeps(t, q, "failed", true)
	again := func(q *queue) {
		t.Helper()
		keeps(t, q, "waiting", false)
		keeps(t, q, "done", false)
	}
	again(q)
	q, left := reopened(t, q)
	again(q)
	q.finish(left[1])
	q.setAside(left[2], errors.New("GitLab is away"))
	again(q)
	q, left = reopened(t, q)
	again(q)
	if got := branches(left); !slices.Equal(got, []string{"waiting"}) {
		t.Errorf("left are %v", got)
	}
	keeps(t, q, "failed", true) // sent again by somebody who has mended the cause
}

func TestQueue_ForgetsWhatIsOld(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	for _, id := range []string{"old", "new", "old failure", "new failure"} {
		if _, err := q.keep(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	q, left := reopened(t, q)
	q.finish(left[0])
	q.finish(left[1])
	q.setAside(left[2], errors.New("no"))
	q.setAside(left[3], errors.New("no"))
	for dir, age := range map[string]time.Duration{"done/" + left[0].name() + ".json": doneAge, "failed/" + left[2].name() + ".json": failedAge, "failed/" + left[2].name() + ".json.error": failedAge} {
		old := time.Now().Add(-age - time.Minute)
		if err := os.Chtimes(q.path(dir), old, old); err != nil {
			t.Fatal(err)
		}
	}
	q, _ = reopened(t, q)
	if got := files(t, q, "done"); !slices.Equal(got, []string{left[1].name() + ".json"}) {
		t.Errorf("done are %v", got)
	}
	if got := files(t, q, "failed"); !slices.Equal(got, []string{left[3].name() + ".json", left[3].name() + ".json.error"}) {
		t.Errorf("failed are %v", got)
	}
	keeps(t, q, "old", true)
	keeps(t, q, "new", false)
}

func TestQueue_RemembersNoMoreThanSoMany(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "done"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range doneCount + 3 {
		if err := os.WriteFile(filepath.Join(dir, "done", fileName(int64(i+1), "gitlab:"+fmt.Sprint(i))+".json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	q, _ := opened(t, dir)
	if n := len(files(t, q, "done")); n != doneCount {
		t.Errorf("%d are remembered", n)
	}
	keeps(t, q, "2", true)
	keeps(t, q, "3", false)
}

// TestQueue_PoisonIsSetAside has everything in the queue that does not belong there,
// between two events that do.
func TestQueue_PoisonIsSetAside(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "first", true)
	whole := func(version int, e review.Event) []byte {
		data, err := json.Marshal(eventFile{version, e})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	name := func(n int64, id string) string { return fileName(n, event(id).ID) + ".json" }
	poison := map[string][]byte{
		name(2, "empty"):   {},
		name(3, "cut"):     whole(1, event("cut"))[:50],
		name(4, "newer"):   whole(2, event("newer")),
		name(5, "other"):   whole(1, event("another")),
		name(6, "nothing"): []byte("{}"),
		name(7, "large"):   bytes.Repeat([]byte(" "), maxFile+1),
		"README":           []byte("hello"),
		"x.json":           whole(1, event("x")),
		"\x1b[31m\n.json":  whole(1, event("x")),
	}
	for file, data := range poison {
		if err := os.WriteFile(q.path("events", file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	directory, link := name(8, "directory"), name(9, "link")
	if err := os.MkdirAll(q.path("events", directory, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", q.path("events", link)); err != nil {
		t.Fatal(err)
	}
	q.next = 10
	keeps(t, q, "last", true)

	q, left := reopened(t, q)
	if got := branches(left); !slices.Equal(got, []string{"first", "last"}) {
		t.Errorf("left are %v", got)
	}
	failed := files(t, q, "failed")
	for file := range poison {
		if !slices.Contains(failed, file) || !slices.Contains(failed, file+".error") {
			t.Errorf("%q is not set aside with its reason: %q", file, failed)
		}
	}
	if !slices.Contains(failed, directory) || !slices.Contains(failed, link) {
		t.Errorf("set aside are %q", failed)
	}
	reason, err := os.ReadFile(q.path("failed", name(4, "newer")+".error"))
	if err != nil || !strings.Contains(string(reason), "version 2") {
		t.Errorf("the reason is %q: %v", reason, err)
	}
	keeps(t, q, "cut", true)
}

func TestQueue_WhatWasBeingWrittenIsNoEvent(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "a", true)
	i := &item{number: 9, event: event("b")}
	for _, file := range []string{"." + i.name(), "." + i.name() + ".json"} {
		if err := os.WriteFile(q.path("events", file), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	q, left := reopened(t, q)
	if len(left) != 1 || len(files(t, q, "events")) != 1 || len(files(t, q, "failed")) != 0 {
		t.Errorf("left are %v of %v and %v", branches(left), files(t, q, "events"), files(t, q, "failed"))
	}
}

func TestQueue_ProgressIsKeptAndMayBeLost(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "a", true)
	q, left := reopened(t, q)
	for _, s := range []step{{App: "x", What: begun}, {App: "y", What: begun}, {App: "x", What: begun}, {App: "y", What: done}, {App: "z", What: begun}, {App: "z", What: undone}} {
		if err := q.note(left[0], s); err != nil {
			t.Fatal(err)
		}
	}
	q, left = reopened(t, q)
	if p := left[0].progress; p.attempts["x"] != 2 || p.attempts["z"] != 0 || !p.over("y") || p.over("x") {
		t.Errorf("the progress is %+v", p)
	}
	file := q.path("events", left[0].name()+".json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(data); data[cut-1] != '}' || bytes.Count(data[:cut], []byte("\n")) > 0; cut-- { // wherever a kill cuts it, but for the event
		if err := os.WriteFile(file, data[:cut-1], 0o644); err != nil {
			t.Fatal(err)
		}
		if q, left = reopened(t, q); len(left) != 1 {
			t.Fatalf("cut after %d of %d bytes, the event is gone", cut-1, len(data))
		}
	}
	if p := left[0].progress; len(p.attempts) > 0 || len(p.done) > 0 {
		t.Errorf("there is progress left: %+v", p)
	}
	if err := q.note(left[0], step{App: "x", What: begun}); err != nil {
		t.Fatal(err)
	}
	if _, left = reopened(t, q); left[0].progress.attempts["x"] != 1 {
		t.Errorf("the progress is %+v", left[0].progress)
	}
}

func TestQueue_ManyAtOnceAreEachKeptOnce(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		was = map[string]int{}
	)
	for i := range 300 {
		id := fmt.Sprintf("b%d", i%100)
		all.Go(func() {
			isNew, err := q.keep(t.Context(), event(id))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if isNew {
				was[id]++
			}
		})
	}
	all.Wait()
	_, left := reopened(t, q)
	if len(was) != 100 || len(left) != 100 {
		t.Errorf("%d were new, and %d are there", len(was), len(left))
	}
	for id, n := range was {
		if n != 1 {
			t.Errorf("%s was new %d times", id, n)
		}
	}
}

// TestQueue_FullDisk fills a small file system: nothing is kept that is not whole,
// what is there can be ended, and it goes on when there is room.
func TestQueue_FullDisk(t *testing.T) {
	dir := t.TempDir()
	mountSmall(t, dir)
	q, _ := opened(t, filepath.Join(dir, "queue"))
	keeps(t, q, "before", true)
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	if isNew, err := q.keep(t.Context(), event("full")); err == nil || isNew {
		t.Errorf("it is kept on a full disk: %v, %v", isNew, err)
	}
	q, left := reopened(t, q)
	if got := branches(left); !slices.Equal(got, []string{"before"}) || len(files(t, q, "failed")) != 0 {
		t.Errorf("left are %v, set aside %v", got, files(t, q, "failed"))
	}
	q.finish(left[0])
	if got := files(t, q, "events"); len(got) != 0 {
		t.Errorf("on a full disk it leaves %v", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	keeps(t, q, "full", true)
	keeps(t, q, "before", false)
}

// TestQueue_ABatchIsSpreadOverRestarts has a process killed behind each of its steps
// with many events at once: when they are kept, when some have a file, and when some
// are even done.
func TestQueue_ABatchIsSpreadOverRestarts(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	quit(q)
	var items []*item
	for i := range 5 {
		items = append(items, &item{number: int64(i + 1), event: event(fmt.Sprint(i))})
	}
	keep := func(some []*item) {
		t.Helper()
		if err := q.putAll(some); err != nil {
			t.Fatal(err)
		}
	}
	keep(items)
	keep(items[1:2])
	keep(items[3:4])
	if err := q.note(items[1], step{App: "x", What: begun}); err != nil {
		t.Fatal(err)
	}
	keep(items[0:1])
	q.finish(items[0])
	keep(items[4:5])
	q.setAside(items[4], errors.New("no"))

	again, left := opened(t, q.dir)
	if got := branches(left); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("left are %v", got)
	}
	if left[0].progress.attempts["x"] != 1 {
		t.Errorf("the progress is %+v", left[0].progress)
	}
	if got := files(t, again, "events"); len(got) != 3 {
		t.Errorf("there are %v", got)
	}
	keeps(t, again, "2", false)
	keeps(t, again, "new", true)
	if _, left = reopened(t, again); left[3].number != 6 {
		t.Errorf("the new one has number %d", left[3].number)
	}
}

func TestQueue_ADamagedBatchIsSetAside(t *testing.T) {
	q, _ := opened(t, t.TempDir())
	keeps(t, q, "a", true)
	items := []*item{{number: 7, event: event("b")}, {number: 8, event: event("c")}}
	if err := q.putAll(items); err != nil {
		t.Fatal(err)
	}
	file := q.path("events", batchName(items))
	if err := os.Truncate(file, 150); err != nil {
		t.Fatal(err)
	}
	q, left := reopened(t, q)
	if len(left) != 1 || len(files(t, q, "events")) != 1 || len(files(t, q, "failed")) != 2 {
		t.Errorf("left are %v of %v and %v", branches(left), files(t, q, "events"), files(t, q, "failed"))
	}
}

// FuzzEventFile reads what may be in the queue's files: it is an event, or set aside.
func FuzzEventFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"event":{"id":"gitlab:a","kind":"branch deleted"}}` + "\n\n" + `{"app":"x","what":"begun"}` + "\n"))
	f.Add([]byte(`{"number":3,"version":1,"event":{"id":"gitlab:a","kind":"branch deleted"}}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("null"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		q, _, err := openQueue(filepath.Join(dir, fmt.Sprint(os.Getpid())), silent())
		if err != nil {
			t.Fatal(err)
		}
		name := fileName(1, "gitlab:a")
		for _, file := range []string{name + ".json", name + batchEnding} {
			if err := os.WriteFile(q.path("events", file), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		q.unlock()
		q, left, err := openQueue(q.dir, silent())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range left {
			if i.event.Kind == "" || i.number < 1 {
				t.Errorf("it is %+v", i)
			}
			q.finish(i)
		}
		if got := files(t, q, "events"); len(got) > 0 {
			t.Errorf("there are %v", got)
		}
		q.unlock()
		if err := os.RemoveAll(q.dir); err != nil {
			t.Fatal(err)
		}
	})
}
