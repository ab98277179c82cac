package apache

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRedirect_KeepsWhatWasAskedFor has plain HTTP on a second port.
func TestRedirect_KeepsWhatWasAskedFor(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	plain := listener.Addr().String()
	listener.Close()
	f := newSecureFront(t, func(c *Config) { c.RedirectListen = plain })
	alsoListen(t, plain)
	apply(t, f.Front, app(t, "login", "the app"))

	base := "https://login." + domain + ":" + host.Port
	for _, c := range []struct{ line, host, location string }{
		{"GET /", "login." + domain, base + "/"},
		{"GET /", "login." + domain + ":80", base + "/"},
		{"GET /", "LOGIN." + domain, base + "/"},
		{"HEAD /a", "login." + domain, base + "/a"},
		{"POST /form?x=1", "login." + domain, base + "/form?x=1"},
		{"GET /a%2Fb/../c//d/%20?x=%20y&z=https://evil.example/&%26+%25", "login." + domain, base + "/a%2Fb/../c//d/%20?x=%20y&z=https://evil.example/&%26+%25"},
		{"GET /a%0d%0aSet-Cookie:%20x=y", "login." + domain, base + "/a%0d%0aSet-Cookie:%20x=y"},
		{"GET //evil.example/", "login." + domain, base + "//evil.example/"},
		{"GET /@evil.example/", "login." + domain, base + "/@evil.example/"},
		{"GET /a%3Fb?c", "login." + domain, base + "/a%3Fb?c"},
		{"GET /?a?b", "login." + domain, base + "/?a?b"},
		{"GET /a", domain, "https://" + domain + ":" + host.Port + "/a"},
		{"GET /%{HTTP_USER_AGENT}$1%1", "login." + domain, ""},
		{"GET @evil.example/", "login." + domain, ""},
		{"GET .evil.example/", "login." + domain, ""},
		{"GET http://evil.example/", "login." + domain, ""},
		{"GET /", "evil.example", ""},
		{"GET /", "login." + domain + ".evil.example", ""},
		{"GET /", "evil" + domain, ""},
		{"GET /", "login." + domain + "@evil.example", ""},
		{"GET /", "evil.example/." + domain, ""},
		{"GET /", "evil.example?." + domain, ""},
		{"GET /", "", ""},
	} {
		status, header := redirected(t, plain, c.line, c.host)
		location := header.Get("Location")
		switch {
		case c.location != "" && (status != http.StatusPermanentRedirect || location != c.location):
			t.Errorf("%s of %s: %d to %q, want 308 to %q", c.line, c.host, status, location, c.location)
		case c.location == "" && location != "" && !strings.HasPrefix(location, base+"/"):
			t.Errorf("%s of %s: %d to %q", c.line, c.host, status, location)
		}
		if header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", c.line, header)
		}
	}
}

// alsoListen makes the test's Apache listen at one more address, until the test ends.
func alsoListen(t *testing.T, address string) {
	t.Helper()
	file := filepath.Join(host.Dir, "extra.conf")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, before, 0o644); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(file, fmt.Appendf(before, "Listen %s\n", address), 0o644); err != nil {
		t.Fatal(err)
	}
}

// redirected sends a request as it stands and returns what came of it.
func redirected(t *testing.T, address, line, host string) (int, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", line, host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header
}
