package pages_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

func TestWrite_WhatStaysIsNotTouched(t *testing.T) {
	h := newHost(t)
	o := three()
	h.write(o)
	before := h.files()
	o.At = o.At.Add(time.Hour)
	h.write(o)
	for file, info := range h.files() {
		if was := before[file]; was == nil || !os.SameFile(was, info) || !was.ModTime().Equal(info.ModTime()) {
			t.Errorf("%s was written again", file)
		}
	}
	o.Apps[2] = neverLive(seen("web/site", "search", "feature/search", 0), "failed")
	o.Apps[2].Attempt = attempt(o.Apps[2], true, unhealthy)
	h.write(o)
	for file, info := range h.files() {
		changed := !os.SameFile(before[file], info)
		name := strings.TrimSuffix(filepath.Base(file), "."+domain+".html")
		if wanted := slices.Contains([]string{"index.html", "apps.json", "made.json", "search", "review.prom"}, name); changed != wanted {
			t.Errorf("after a change of search, %s was written again: %v", file, changed)
		}
	}
}

func TestWrite_WithoutItsMemoryWritesOnlyWhatDiffers(t *testing.T) {
	h := newHost(t)
	h.write(three())
	before := h.files()
	for _, memory := range []string{"", "{", "[]", `{"state/main.review.example.org.html": 1}`} {
		if err := os.WriteFile(filepath.Join(h.dir, "made.json"), []byte(memory), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(h.dir, "state", "search."+domain+".html")); err != nil {
			t.Fatal(err)
		}
		h.write(three())
		for file, info := range h.files() {
			name := strings.TrimSuffix(filepath.Base(file), "."+domain+".html")
			if again := !os.SameFile(before[file], info); again && name != "made.json" && name != "search" {
				t.Errorf("after the memory was %q, %s was written again", memory, file)
			}
		}
		if !h.has("state/search." + domain + ".html") {
			t.Error("a page that was lost did not come back")
		}
	}
}

func TestWrite_RemovesItsOwnStalePagesOnly(t *testing.T) {
	h := newHost(t)
	h.write(three())
	foreign := []string{"notes.txt", "by-hand." + domain + ".html", "README.html"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(h.dir, "state", name), []byte("<h1>mine</h1>"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fifo := "fifo." + domain + ".html"
	if err := syscall.Mkfifo(filepath.Join(h.dir, "state", fifo), 0o600); err != nil {
		t.Fatal(err)
	}
	h.write(review.Overview{Apps: three().Apps[:1]})
	for _, name := range []string{"main", "search", "cart", "footer"} {
		if h.has("state/" + name + "." + domain + ".html") {
			t.Errorf("the page of %s is still there", name)
		}
	}
	for _, name := range append(foreign, fifo, "login-form."+domain+".html") {
		if !h.has("state/" + name) {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestWrite_ReplacesWhatIsNoFile(t *testing.T) {
	h := newHost(t)
	h.write(three())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(h.dir, "state", "main."+domain+".html")
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, page); err != nil {
		t.Fatal(err)
	}
	h.write(three())
	if info, err := os.Lstat(page); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the page is %v, %v", info, err)
	}
	if kept, err := os.ReadFile(secret); err != nil || string(kept) != "secret" {
		t.Errorf("the file that the link named is now %q, %v", kept, err)
	}
}

func TestWrite_NoLinkLeadsOutOfTheDirectory(t *testing.T) {
	h := newHost(t)
	elsewhere := t.TempDir()
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"index", "state"} {
		if err := os.Symlink(elsewhere, filepath.Join(h.dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Write(three()); err == nil {
		t.Error("no error, although the directories are links")
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 0 {
		t.Errorf("elsewhere there is %v, %v", entries, err)
	}
}

func TestWrite_EverybodyMayReadWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	h := newHost(t)
	h.write(three())
	for file, info := range h.files() {
		if info.Mode().Perm() != 0o644 {
			t.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
	}
	for _, dir := range []string{"", "index", "state"} {
		if info, err := os.Stat(filepath.Join(h.dir, dir)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("directory %q: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestWrite_WhatCannotBeWrittenKeepsNothingElse(t *testing.T) {
	h := newHost(t)
	if err := os.MkdirAll(filepath.Join(h.dir, "index", "index.html", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Write(three()); err == nil {
		t.Error("no error, although index.html is a directory")
	}
	if !h.has("index/apps.json") || !h.has("state/main."+domain+".html") || !h.has("../review.prom") {
		t.Error("the other files were not written")
	}
}
