package apache

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// FuzzVhost lets Apache itself be the judge: whatever the names and settings,
// a virtual host is refused before it is rendered, or Apache accepts it, as one
// more host of one name, and asks for the password there.
func FuzzVhost(f *testing.F) {
	type seed struct {
		name, host, release, backend, htpasswd, listen, root string
		public, project, log, address, scheme                string
		seconds, upload                                      int64
	}
	good := seed{
		"login", "login.review.localhost", "3f2c1a9-4711", "127.0.0.1:8080", "/etc/htpasswd", "127.0.0.1", "",
		"/hooks/*", "group/shop", "/var/tmp/review.log", "192.0.2.0/24", "https", 60, 1 << 30,
	}
	files := good
	files.backend, files.root = "", sites()+"/login/3f2c1a9-4711"
	seeds := []seed{good, files}
	for _, hostile := range []string{
		"", "x\"", "x\n</VirtualHost>\n<VirtualHost *:1>", "x\r", "${HOME}", "$1", "%{ENV:PATH}", "x\\\n", "x\x00y", "x y", "*.review.localhost",
		"../../etc/passwd", "xn--e1afmkfd", strings.Repeat("x", 64), "ÜNÏ", "X", "-x", "x-", "<If true>", "#", "|/bin/sh", "00-unknown", "zz-unknown",
	} {
		for i := range 11 {
			s := good
			*[]*string{&s.name, &s.host, &s.release, &s.backend, &s.htpasswd, &s.listen, &s.public, &s.project, &s.log, &s.address, &s.scheme}[i] = hostile
			switch i {
			case 0:
				s.host = hostile + ".review.localhost"
			case 6:
				s.public = "/" + hostile
			case 8:
				s.log = "/var/tmp/" + hostile
			}
			seeds = append(seeds, s)
		}
		s := files
		s.root = sites() + "/" + hostile
		seeds = append(seeds, s)
	}
	for _, other := range []func(*seed){
		func(s *seed) { s.backend, s.listen, s.htpasswd = "[::1]:9", "*", "/a b/c@d" },
		func(s *seed) { s.backend = "127.0.0.1:80#" },
		func(s *seed) { s.backend = "10.0.0.1:80" },
		func(s *seed) { s.backend = "127.0.0.1:080" },
		func(s *seed) { s.backend = "[::1%lo]:80" },
		func(s *seed) { s.root = sites() + "/a" },
		func(s *seed) { s.backend, s.root = "", "/etc" },
		func(s *seed) { s.public = "/a.b/c_d~e-f" },
		func(s *seed) { s.public = "/" },
		func(s *seed) { s.public = "/*" },
		func(s *seed) { s.public = "/a#b" },
		func(s *seed) { s.public = "/a(b|c)" },
		func(s *seed) { s.address = "2001:db8::/32" },
		func(s *seed) { s.address = "0.0.0.0/0" },
		func(s *seed) { s.address = "192.0.2.7 all granted" },
		func(s *seed) { s.seconds, s.upload = -1, -1 },
		func(s *seed) { s.seconds, s.upload = 86400, 0 },
		func(s *seed) { s.log = "/nowhere/x.log" },
		func(s *seed) { s.log = "/var/tmp" },
	} {
		s := good
		other(&s)
		seeds = append(seeds, s)
	}
	for _, s := range seeds {
		f.Add(s.name, s.host, s.release, s.backend, s.htpasswd, s.listen, s.root, s.public, s.project, s.log, s.address, s.scheme, s.seconds, s.upload)
	}
	f.Fuzz(func(t *testing.T, name, hostname, release, backend, htpasswd, listen, root, public, project, log, address, scheme string, seconds, upload int64) {
		cfg := testConfig()
		cfg.Htpasswd, cfg.Listen, cfg.AccessLog = htpasswd, listen+":"+host.Port, log
		cfg.PublicScheme, cfg.Timeout, cfg.MaxUpload = scheme, time.Duration(seconds)*time.Second, review.Bytes(upload)
		cfg.TrustedProxies, cfg.NoLoginFrom = []string{address}, []string{address}
		if len(cfg.Problems()) > 0 || (log != "" && log != "/var/tmp/review.log" && log != "/nowhere/x.log" && log != "/var/tmp") {
			return
		}
		if prefix, err := netip.ParsePrefix(address); err == nil && prefix.Contains(netip.MustParseAddr("127.0.0.1")) || strings.HasPrefix(address, "127.") {
			return // needs no login here
		}
		site := review.Site{Name: name, Host: hostname, Project: project, Release: release, Backend: backend, Root: root, PublicPaths: []string{public}}
		front := New(cfg, domain, sites(), map[string]string{project: htpasswd})
		if front.checkUnseen() != nil {
			return
		}
		if _, err := renders(t, front).renderSite(site); err != nil || public == "/" {
			return
		}
		judge(t, front, site)
	})
}

// judge asks Apache about a virtual host that passed our own checks.
func judge(t *testing.T, front *Front, site review.Site) {
	t.Helper()
	cfg := front.cfg
	newFront(t, cfg)
	t.Cleanup(func() { os.Remove("/var/tmp/review.log") })
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
