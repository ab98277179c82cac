package review_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// newRecords keeps records in a directory of the test's own.
func newRecords(t testing.TB) (records *review.Records, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	return review.NewRecords(dir), dir
}

// aRecord is the record of an app with that name.
func aRecord(name string) review.Record {
	return review.Record{
		Version: 2,
		App:     review.App{Name: name, Host: name + ".review.example.org", ProjectID: 42, Project: "group/shop", Environment: "review/" + name},
		Live: review.Release{
			ID: "3f2c1a9-4711", Ref: "feature/" + name, SHA: "3f2c1a9", Job: 4711, Image: "sha256:1",
			Backend: "127.0.0.1:34817", Deployed: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
		},
	}
}

func save(t *testing.T, records *review.Records, all ...review.Record) {
	t.Helper()
	for _, record := range all {
		if err := records.Save(record); err != nil {
			t.Fatal(err)
		}
	}
}

func isSaved(t *testing.T, records *review.Records, want review.Record) {
	t.Helper()
	got, err := records.Load(want.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestRecords_SaveLoadDelete(t *testing.T) {
	records, _ := newRecords(t)
	if got, err := records.Load("login"); got != nil || err != nil {
		t.Errorf("before anything was saved: %+v, %v", got, err)
	}
	record := aRecord("login")
	save(t, records, record, aRecord("other"))
	isSaved(t, records, record)
	record.Live.ID = "9ab01ce-4712"
	save(t, records, record)
	isSaved(t, records, record)

	for range 2 { // a missing one is not an error
		if err := records.Delete("login"); err != nil {
			t.Error(err)
		}
	}
	if got, err := records.Load("login"); got != nil || err != nil {
		t.Errorf("after it was deleted: %+v, %v", got, err)
	}
	isSaved(t, records, aRecord("other"))
}

func TestRecords_AllIsByName(t *testing.T) {
	records, dir := newRecords(t)
	if all, damaged, err := records.All(); len(all)+len(damaged) > 0 || err != nil {
		t.Errorf("before anything was saved: %v, %v, %v", all, damaged, err)
	}
	save(t, records, aRecord("c"), aRecord("a"), aRecord("b"))
	for _, name := range []string{".a.json123", "a.json.tmp", "notes.txt", "A.json", ".json"} {
		write(t, filepath.Join(dir, "apps", name), "being written")
	}
	all, damaged, err := records.All()
	if err != nil || len(damaged) > 0 {
		t.Errorf("damaged %v, %v", damaged, err)
	}
	if diff := cmp.Diff([]review.Record{aRecord("a"), aRecord("b"), aRecord("c")}, all); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestRecords_DamagedOnesDoNotHideOthers(t *testing.T) {
	records, dir := newRecords(t)
	save(t, records, aRecord("good"))
	want := map[string]string{
		"empty":  "is damaged",
		"cut":    "is damaged",
		"newer":  "has version 3; this program knows versions 1 to 2",
		"older":  "has version 0",
		"copied": "names another app, good",
		"folder": "read record",
	}
	for name, content := range map[string]string{
		"empty":  "",
		"cut":    `{"version": 1, "name": "cu`,
		"newer":  `{"version": 3, "name": "newer"}`,
		"older":  `{"name": "older"}`,
		"copied": `{"version": 1, "name": "good"}`,
	} {
		write(t, filepath.Join(dir, "apps", name+".json"), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "apps", "folder.json"), 0o755); err != nil {
		t.Fatal(err)
	}

	all, damaged, err := records.All()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]review.Record{aRecord("good")}, all); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(damaged) != len(want) {
		t.Errorf("damaged: %v, want %d", damaged, len(want))
	}
	for name, problem := range want {
		isProblem(t, name, damaged[name], problem)
		isProblem(t, name, damaged[name], filepath.Join(dir, "apps", name+".json"))
		_, err := records.Load(name)
		isProblem(t, name, err, problem)
	}
}

func TestRecords_NamesCannotLeaveTheDirectory(t *testing.T) {
	records, dir := newRecords(t)
	outside := filepath.Join(filepath.Dir(dir), "outside.json")
	write(t, outside, `{"version": 1, "name": "../../outside"}`)
	for _, name := range []string{"../../outside", "", ".", "a/b", "A", "xn--a", "_front", "a\x00"} {
		_, err := records.Load(name)
		isProblem(t, name, err, "is no host label")
		isProblem(t, name, records.Save(aRecord(name)), "is no host label")
		isProblem(t, name, records.Delete(name), "is no host label")
		_, err = records.Lock(t.Context(), name, func() {})
		isProblem(t, name, err, "is no host label")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// TestRecords_FailedSaveLeavesTheRecordBefore has the kernel refuse to write
// files, as on a full disk.
func TestRecords_FailedSaveLeavesTheRecordBefore(t *testing.T) {
	if !alone(t) {
		return
	}
	records, dir := newRecords(t)
	before := aRecord("login")
	save(t, records, before)
	after := before
	after.Live.ID = "9ab01ce-4712"

	full(t, func() {
		if err := records.Save(after); !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), "write record") {
			t.Errorf("saving ended with %v, want that nothing can be written", err)
		}
		if err := records.Save(aRecord("new")); err == nil {
			t.Error("a new record was saved")
		}
	})
	isSaved(t, records, before)
	if got, err := records.Load("new"); got != nil || err != nil {
		t.Errorf("the new app has a record: %+v, %v", got, err)
	}
	if files, _ := os.ReadDir(filepath.Join(dir, "apps")); len(files) != 1 {
		t.Errorf("%v is there, want one file", files)
	}
	save(t, records, after)
	isSaved(t, records, after)
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
