package apache

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// request is a line as Apache writes it.
func request(host, at, path string) string {
	return fmt.Sprintf("%s 127.0.0.1 - demo [%s] \"GET %s HTTP/1.1\" 200 5 \"-\" \"-\" 310\n", host, at, path)
}

const (
	morning = "21/Nov/2026:08:00:00 +0100"
	noon    = "21/Nov/2026:12:00:00 +0100"
	evening = "21/Nov/2026:18:00:00 +0000"
)

// rotated is a log with two files that were put aside.
func rotated(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "access.log")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	fmt.Fprint(w, request("login.x", morning, "/1"), request("cart.x", morning, "/no"), request("login.x", morning, "/2"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path+".2.gz", zipped.String())
	write(t, path+".1", request("login.x", noon, "/3")+request("login.x.evil", noon, "/no")+request("xlogin.x", noon, "/no"))
	write(t, path, request("cart.x", evening, "/login.x")+request("login.x", evening, "/4")+request("login.x", evening, "/"+strings.Repeat("x", 100000))+"login.x 127.0.0.1 - unfinis")
	return path
}

func TestReadAccessLog_TheAppsRequestsAlone(t *testing.T) {
	path := rotated(t)
	at := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what  string
		query AccessQuery
		want  []string
	}{
		{"all", AccessQuery{Lines: -1}, []string{"/1", "/2", "/3", "/4", "/xxx"}},
		{"the last of the newest file", AccessQuery{Lines: 1}, []string{"/xxx"}},
		{"the last of two files", AccessQuery{Lines: 3}, []string{"/3", "/4", "/xxx"}},
		{"the last of all files", AccessQuery{Lines: 4}, []string{"/2", "/3", "/4", "/xxx"}},
		{"more than there are", AccessQuery{Lines: 100}, []string{"/1", "/2", "/3", "/4", "/xxx"}},
		{"none", AccessQuery{Lines: 0}, nil},
		{"since the very second", AccessQuery{Lines: -1, Since: at.Add(time.Millisecond)}, []string{"/3", "/4", "/xxx"}},
		{"since the next", AccessQuery{Lines: -1, Since: at.Add(time.Second)}, []string{"/4", "/xxx"}},
		{"since, and the last", AccessQuery{Lines: 2, Since: at}, []string{"/4", "/xxx"}},
		{"an app that nobody asked for", AccessQuery{Host: "wiki.x", Lines: -1}, nil},
	} {
		if c.query.Host == "" {
			c.query.Host = "login.x"
		}
		var got []string
		err := ReadAccessLog(t.Context(), path, c.query, func(line []byte) error {
			if !bytes.HasPrefix(line, []byte("127.0.0.1 - demo [")) || bytes.HasSuffix(line, []byte("\n")) {
				t.Errorf("%s: %q", c.what, line)
			}
			got = append(got, pathOf(line))
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.what, got, err, c.want)
		}
	}
}

// pathOf is the beginning of a request's path.
func pathOf(line []byte) string {
	_, path, _ := strings.Cut(string(line), "GET ")
	path, _, _ = strings.Cut(path, " ")
	return path[:min(len(path), 4)]
}

func TestReadAccessLog_FollowsAcrossRotation(t *testing.T) {
	path := rotated(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, done := make(chan string, 100), make(chan error)
	go func() {
		done <- ReadAccessLog(ctx, path, AccessQuery{Host: "login.x", Lines: 1, Follow: true}, func(line []byte) error {
			lines <- pathOf(line)
			return nil
		})
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not come", want)
		}
	}
	next("/xxx")
	add(t, path, "hed\n"+request("cart.x", evening, "/no")+request("login.x", evening, "/5"))
	next("") // the line that was not whole
	next("/5")
	if err := errors.Join(os.Rename(path+".1", path+".2"), os.Rename(path, path+".1")); err != nil {
		t.Fatal(err)
	}
	add(t, path+".1", request("login.x", evening, "/6"))
	next("/6")
	write(t, path, request("cart.x", evening, "/no")+request("login.x", evening, "/7"))
	next("/7")
	add(t, path+".1", request("login.x", evening, "/8")) // of a process that is about to end
	next("/8")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	add(t, path, request("login.x", evening, "/9"))
	next("/9")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadAccessLog_MissingOrDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	read := func() error {
		return ReadAccessLog(t.Context(), path, AccessQuery{Host: "login.x", Lines: -1}, func([]byte) error { return nil })
	}
	if err := read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	write(t, path+".1", request("login.x", noon, "/1"))
	if err := read(); err != nil {
		t.Errorf("just rotated: %v", err)
	}
	write(t, path+".2.gz", "no gzip")
	if err := read(); err == nil || !strings.Contains(err.Error(), ".2.gz") {
		t.Errorf("damaged: %v", err)
	}
}

// TestReadAccessLog_OfApache reads what Apache itself has written.
func TestReadAccessLog_OfApache(t *testing.T) {
	front := newFront(t, testConfig())
	site := app(t, "visited", "the app")
	apply(t, front, site)
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+"/asked", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "\"] [x")
	host.Do(t, req, site.Host, true)
	var found []string
	eventually(t, func() bool {
		found = nil
		err := ReadAccessLog(t.Context(), front.cfg.AccessLog, AccessQuery{Host: site.Host, Lines: -1, Since: time.Now().Add(-time.Hour)}, func(line []byte) error {
			if pathOf(line) == "/ask" {
				found = append(found, string(line))
			}
			return nil
		})
		return err == nil && len(found) == 1
	})
	if len(found) == 1 && !strings.Contains(found[0], ` "GET /asked HTTP/1.1" 200 `) {
		t.Errorf("%q", found)
	}
}

func add(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
