package apache

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// TestApply_ApacheThatEndsIsTold has the reload end Apache, as one does that finds a
// log or a key that it cannot use.
func TestApply_ApacheThatEndsIsTold(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "as before"))
	before, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Reload.Command = []string{"sh", "-c", `exec "$1" -k stop`, "sh", filepath.Join(host.Dir, "apache.sh")}
	_, err = newTestFront(cfg).Apply(context.Background(), []review.Site{app(t, "login", "another")}, nil)
	host.Apache(t, "-k", "start")
	if err == nil || !strings.Contains(review.AsFailure(err).Text(), "has ended when it was reloaded") {
		t.Errorf("error %v", err)
	}
	after, err := f.read()
	if err != nil || len(difference(before, after)) > 0 {
		t.Errorf("files changed: %v, %v", difference(before, after), err)
	}
	eventually(t, func() bool { return host.Get(t, "login."+domain, "/", true).Status == 200 })
	expect(t, "login", 200, "as before")
}

func TestApply_KeyOfAnotherCertificateDoesNotEndApache(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "as before"))
	pair := func() Config {
		return certificateOf(t, t.TempDir(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "*."+domain)
	}
	own, anotherKey := pair(), pair().TLSKey
	for name, spoil := range map[string]func(cfg *Config){
		"another key":    func(cfg *Config) { cfg.TLSKey = anotherKey },
		"no certificate": func(cfg *Config) { cfg.TLSCertificate = cfg.TLSKey },
		"no key":         func(cfg *Config) { cfg.TLSKey += ".missing" },
	} {
		cfg := testConfig()
		cfg.TLSCertificate, cfg.TLSKey = own.TLSCertificate, own.TLSKey
		spoil(&cfg)
		_, err := newTestFront(cfg).Apply(context.Background(), []review.Site{app(t, "login", "another")}, nil)
		if err == nil || !strings.Contains(review.AsFailure(err).Text(), "Apache would not start with") {
			t.Errorf("%s: %v", name, err)
		}
		expect(t, "login", 200, "as before")
	}
}

func TestApply_ManyRefusedAreNoSingleAppsDoing(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "as before"))
	cfg := testConfig()
	cfg.VhostTemplate = filepath.Join(t.TempDir(), "own.conf.tmpl")
	if err := os.WriteFile(cfg.VhostTemplate, []byte("<VirtualHost {{.Listen}}>\nServerName {{.Site.Host}}\nHeadr on\n</VirtualHost>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var sites []review.Site
	for i := range 20 {
		sites = append(sites, app(t, fmt.Sprintf("app-%d", i), "new"))
	}
	_, err := newTestFront(cfg).Apply(context.Background(), sites, nil)
	if err == nil || !strings.Contains(review.AsFailure(err).Text(), "should mend apache.vhost_template") || !strings.Contains(review.AsFailure(err).Text(), "Headr") {
		t.Errorf("error %v", err)
	}
	expect(t, "login", 200, "as before")
}

// TestBackend_ThatNeverAnswersLeavesRoomForTheOthers asks one app more than Apache can
// do at a time.
func TestBackend_ThatNeverAnswersLeavesRoomForTheOthers(t *testing.T) {
	f := newFront(t, testConfig())
	done := make(chan struct{})
	hangs := answers(t, "hangs", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(done) })
	hangs.PublicPaths = []string{"/hook"}
	apply(t, f, hangs, app(t, "other", "the other app"))
	for range 420 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+host.Port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /hook HTTP/1.1\r\nHost: hangs.%s\r\n\r\n", domain)
	}
	for range 20 {
		expect(t, "other", 200, "the other app")
	}
}
