package review_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// static is a job that publishes the directory public.
func (w *world) static(number int64, page string) review.Request {
	job := w.job(number, map[string]string{"public/index.html": page, "public/assets/app.js": "js", "public": "", "secret": "s"})
	job.Settings.Static = "public"
	return job
}

func (w *world) publishes(job review.Request) {
	w.t.Helper()
	if _, err := w.Deploy(context.Background(), job); err != nil {
		w.t.Fatal(err)
	}
}

func TestStatic_IsServedWithoutAContainerAndSwitched(t *testing.T) {
	w := newWorld(t)
	w.publishes(w.static(1, "one"))
	w.serves("login", "one")
	w.holds()
	w.fault = func(op string) error {
		if got := w.front.Get("login.review.example.org"); got != "one" && got != "two" {
			t.Errorf("before %s it serves %q", op, got)
		}
		return nil
	}
	w.publishes(w.static(2, "two"))
	w.serves("login", "two")
	w.rollsBack()
	w.serves("login", "one")
	w.fault = nil
	w.deployed(3, "a container")
	w.publishes(w.static(4, "four"))
	w.serves("login", "four")
	if entries, _ := os.ReadDir(filepath.Join(w.dir, "sites", "login")); len(entries) != 1 {
		t.Errorf("there are %v, want the live one", entries)
	}
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.isGone()
	for _, dir := range []string{"sites/login", "secrets/login"} {
		if _, err := os.Stat(filepath.Join(w.dir, dir)); err == nil {
			t.Errorf("there is still %s", dir)
		}
	}
}

func TestStatic_FilesAreReadableWhateverTheirModes(t *testing.T) {
	w := newWorld(t)
	w.publishes(w.archive(1, entry("public/a/secret.html", 0o600, "x"), link("public/latest", "a")))
	root := w.Records.SiteDir("login", releaseID(1))
	for name, want := range map[string]os.FileMode{"": 0o755, "a": 0o755, "a/secret.html": 0o644, "latest/secret.html": 0o644} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// archive is a job whose directory public is any archive.
func (w *world) archive(number int64, entries ...tar.Header) review.Request {
	job := w.static(number, "")
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.PAXRecords["CONTENT.x"]
		h.PAXRecords = nil
		h.Size = int64(len(content))
		if err := out.WriteHeader(&h); err != nil {
			w.t.Fatal(err)
		}
		_, _ = io.WriteString(out, content)
	}
	_ = out.Close()
	job.Checkout = tarred{job.Checkout, b.Bytes()}
	return job
}

type tarred struct {
	review.Checkout
	archive []byte
}

func (t tarred) Tar(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(t.archive)), nil
}

func entry(name string, mode int64, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, PAXRecords: map[string]string{"CONTENT.x": content}}
}

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

func TestStatic_WhatLeavesTheSiteIsRefused(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"an absolute link":             {link("public/a", "/etc/passwd")},
		"a link that climbs":           {link("public/a", "../../../../../etc/passwd")},
		"a link over another":          {link("public/d/up", ".."), entry("public/d/x", 0o644, ""), link("public/a", "d/up/../../../etc")},
		"a hard link to outside":       {{Name: "public/a", Typeflag: tar.TypeLink, Linkname: "other"}},
		"a hard link to a link":        {link("public/a", "/etc/passwd"), {Name: "public/b", Typeflag: tar.TypeLink, Linkname: "public/a"}},
		"a file written through links": {link("public/a", "/tmp"), entry("public/a/x", 0o644, "")},
		"a pipe":                       {{Name: "public/a", Typeflag: tar.TypeFifo}},
		"a device":                     {{Name: "public/a", Typeflag: tar.TypeChar}},
		"too many entries":             slices.Repeat([]tar.Header{{Name: "public/d", Typeflag: tar.TypeDir}}, 30),
		"a file in place of it":        {entry("public", 0o644, "x")},
		"too many bytes":               {entry("public/a", 0o644, strings.Repeat("x", 200_000))},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Limits.StaticSize = 100_000
			w.publishes(w.static(1, "one"))
			_, err := w.Deploy(t.Context(), w.archive(2, entries...))
			if err == nil || !strings.Contains(review.AsFailure(err).Text(), "the version of 1111111 is still serving") {
				t.Errorf("%v", err)
			}
			w.serves("login", "one")
			if entries, _ := os.ReadDir(filepath.Join(w.dir, "sites", "login")); len(entries) != 1 {
				t.Errorf("there are %v, want only what serves", entries)
			}
		})
	}
}

func TestStatic_MissingDirectoryIsNamed(t *testing.T) {
	w := newWorld(t)
	job := w.static(1, "one")
	job.Settings.Static = "dist"
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, `there is no directory "dist" in this project`, "REVIEW_STATIC", "the app was not deployed before")
}

// TestSecrets_AreForOurUserAlone and not in the record.
func TestSecrets_AreForOurUserAlone(t *testing.T) {
	w := newWorld(t)
	job := w.job(1, site("one"))
	job.Settings.Env, job.HostEnv = map[string]string{"TOKEN": "s3cret", "BOTH": "project"}, map[string]string{"BOTH": "h0st"}
	w.publishes(job)
	if env := w.engine.Running()[0].Env; env["TOKEN"] != "s3cret" || env["BOTH"] != "h0st" {
		t.Errorf("environment %v", env)
	}
	dir := filepath.Join(w.dir, "secrets", "login")
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, releaseID(1)+".json"): 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	record, err := os.ReadFile(filepath.Join(w.dir, "apps", "login.json"))
	if err != nil || strings.Contains(string(record), "s3cret") || strings.Contains(string(record), "h0st") {
		t.Errorf("%v, the record holds a secret:\n%s", err, record)
	}
	for _, value := range w.engine.Running()[0].Labels {
		if strings.Contains(value, "s3cret") {
			t.Error("a label holds a secret")
		}
	}
	write(t, filepath.Join(dir, releaseID(1)+".json"), `{"app": "s3cret`)
	if _, err := w.Records.LoadSecrets("login", releaseID(1)); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("damaged secrets: %v", err)
	}
	for _, release := range []string{"../../x", "", "1111111-1/..", "latest"} {
		if w.Records.SaveSecrets("login", release, review.Secrets{}) == nil {
			t.Errorf("release %q was taken", release)
		}
	}
}
