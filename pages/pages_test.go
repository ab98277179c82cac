package pages_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/review"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

const domain = "review.example.org"

// host is a directory with pages, and a file with metrics beside it.
type host struct {
	t *testing.T
	*pages.Pages
	dir, metrics string
}

func newHost(t *testing.T) host {
	t.Helper()
	root := t.TempDir()
	h := host{t: t, dir: filepath.Join(root, "www"), metrics: filepath.Join(root, "review.prom")}
	h.Pages = pages.New(h.dir, domain, h.metrics)
	h.Index = "https://" + domain
	return h
}

func (h host) write(o review.Overview) {
	h.t.Helper()
	if err := h.Write(o); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) read(name string) string {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func (h host) has(name string) bool {
	_, err := os.Lstat(filepath.Join(h.dir, name))
	return err == nil
}

// files are all files with what identifies a content that was written once.
func (h host) files() map[string]os.FileInfo {
	h.t.Helper()
	all := map[string]os.FileInfo{}
	err := filepath.Walk(filepath.Dir(h.dir), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all[path] = info
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}
