package apache

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// FuzzVhost lets Apache itself be the judge: whatever the names and settings,
// a virtual host is refused before it is rendered, or Apache accepts it, as one
// more host of one name, and asks for the password there.
func FuzzVhost(f *testing.F) {
	type seed struct{ name, host, release, backend, htpasswd, listen, root string }
	good := seed{"login", "login.review.localhost", "3f2c1a9-4711", "127.0.0.1:8080", "/etc/htpasswd", "127.0.0.1", ""}
	files := seed{"login", "login.review.localhost", "3f2c1a9-4711", "", "/etc/htpasswd", "127.0.0.1", sites() + "/login/3f2c1a9-4711"}
	seeds := []seed{good, files}
	for _, hostile := range []string{
		"", "x\"", "x\n</VirtualHost>\n<VirtualHost *:1>", "x\r", "${HOME}", "$1", "%{ENV:PATH}", "x\\\n", "x\x00y", "x y", "*.review.localhost",
		"../../etc/passwd", "xn--e1afmkfd", strings.Repeat("x", 64), "ÜNÏ", "X", "-x", "x-", "<If true>", "#", "|/bin/sh", "00-unknown", "zz-unknown",
	} {
		for i := range 6 {
			s := good
			*[]*string{&s.name, &s.host, &s.release, &s.backend, &s.htpasswd, &s.listen}[i] = hostile
			if i == 0 {
				s.host = hostile + ".review.localhost"
			}
			seeds = append(seeds, s)
		}
		s := files
		s.root = sites() + "/" + hostile
		seeds = append(seeds, s)
	}
	seeds = append(seeds,
		seed{"a", "a.review.localhost", "r", "[::1]:9", "/a b/c@d", "*", ""},
		seed{"a", "a.review.localhost", "r", "127.0.0.1:80#", "/a", "127.0.0.1", ""},
		seed{"a", "a.review.localhost", "r", "10.0.0.1:80", "/a", "127.0.0.1", ""},
		seed{"a", "a.review.localhost", "r", "127.0.0.1:080", "/a", "127.0.0.1", ""},
		seed{"a", "a.review.localhost", "r", "[::1%lo]:80", "/a", "127.0.0.1", ""},
		seed{"a", "a.review.localhost", "r", "127.0.0.1:80", "/a", "127.0.0.1", sites() + "/a"},
		seed{"a", "a.review.localhost", "r", "", "/a", "127.0.0.1", "/etc"},
		seed{"a", "a.review.localhost", "r", "", "/a", "127.0.0.1", sites() + "/a/r"},
	)
	for _, s := range seeds {
		f.Add(s.name, s.host, s.release, s.backend, s.htpasswd, s.listen, s.root)
	}
	f.Fuzz(func(t *testing.T, name, hostname, release, backend, htpasswd, listen, root string) {
		cfg := testConfig()
		cfg.Htpasswd = htpasswd
		cfg.Listen = listen + ":" + host.Port
		if len(cfg.Problems()) > 0 {
			return
		}
		site := review.Site{Name: name, Host: hostname, Release: release, Backend: backend, Root: root}
		if _, err := renders(t, newTestFront(cfg)).renderSite(site); err != nil {
			return
		}
		judge(t, cfg, site)
	})
}

// judge asks Apache about a virtual host that passed our own checks.
func judge(t *testing.T, cfg Config, site review.Site) {
	t.Helper()
	front := newFront(t, cfg)
	refused, err := front.Apply(context.Background(), []review.Site{site}, nil)
	if err != nil || len(refused) > 0 {
		t.Fatalf("Apache refuses %+v: %v %v", site, refused, err)
	}
	file := filepath.Join(cfg.VhostDir, siteFile(site.Name))
	var names []string
	for _, line := range strings.Split(host.Apache(t, "-t", "-D", "DUMP_VHOSTS"), "\n") {
		if strings.Contains(line, file) || strings.Contains(line, "alias") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	var ours int
	for _, name := range names {
		switch {
		case strings.Contains(name, " "+site.Host+" ("+file):
			ours++
		case name != "wild alias *."+domain: // of the host for unknown names
			t.Errorf("%+v makes another host: %s", site, name)
		}
	}
	if ours != 1 {
		t.Errorf("%+v makes %d hosts: %q", site, ours, names)
	}
	if !strings.HasPrefix(cfg.Listen, "127.0.0.1") && !strings.HasPrefix(cfg.Listen, "*") {
		return // an address on which the test's Apache does not listen
	}
	served := func() bool { return host.Get(t, site.Host, "/", false).Header.Get("X-Review-Release") == site.Release }
	eventually(t, served)
	got := host.Get(t, site.Host, "/", false)
	if got.Status != 401 || got.Header.Get("WWW-Authenticate") != `Basic realm="Review apps"` {
		t.Errorf("%+v answers %d %v without a password", site, got.Status, got.Header)
	}
}
