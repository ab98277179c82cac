package apache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// withTemplate is the test's front with a template of the administrator's.
func withTemplate(t *testing.T, text string) *Front {
	t.Helper()
	cfg := testConfig()
	cfg.VhostTemplate = filepath.Join(host.Dir, "own.conf.tmpl")
	if err := os.WriteFile(cfg.VhostTemplate, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(cfg.VhostTemplate) })
	return newFront(t, cfg)
}

func TestTemplate_OneOfTheAdministratorsOwn(t *testing.T) {
	text, err := templateFiles.ReadFile("vhost.conf.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(text), "</VirtualHost>", "    Header always set X-Team \"{{.Site.Project}}\"\n</VirtualHost>", 1)
	f := withTemplate(t, own)
	site := app(t, "login", "the app")
	site.Project = "group/shop"
	apply(t, f, site)
	got := visit(t, "GET", "login", "/", "Authorization", password)
	if got.Status != 200 || got.Header.Get("X-Team") != "group/shop" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
}

func TestTemplate_ThatCannotBeUsedChangesNothing(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	for name, c := range map[string]struct{ text, want string }{
		"no template":       {"{{.Site.Name", "vhost_template cannot be used"},
		"an unknown value":  {"<VirtualHost {{.Nonsense}}>\n</VirtualHost>", "can't evaluate field Nonsense"},
		"a refused command": {"<VirtualHost {{.Listen}}>\nServerName {{.Site.Host}}\nNonsense on\n</VirtualHost>", "Nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.VhostTemplate = filepath.Join(t.TempDir(), "own.conf.tmpl")
			if err := os.WriteFile(cfg.VhostTemplate, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			broken := newTestFront(cfg)
			refused, err := broken.Apply(context.Background(), []review.Site{app(t, "login", "another")}, nil)
			said := fmt.Sprint(refused["login"])
			if err != nil {
				said = review.AsFailure(err).Text()
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("it does not say %q:\n%s", c.want, said)
			}
			expect(t, "login", 200, "the app")
		})
	}
}

func TestApply_LogThatCannotBeOpenedDoesNotEndApache(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	for _, file := range []string{filepath.Join(host.Dir, "missing", "access.log"), filepath.Join(host.Dir, "vhosts"), "/etc/hostname/x.log"} {
		cfg := testConfig()
		cfg.AccessLog = file
		_, err := newTestFront(cfg).Apply(context.Background(), []review.Site{app(t, "login", "another")}, nil)
		if err == nil || !strings.Contains(review.AsFailure(err).Text(), "apache.access_log") {
			t.Errorf("%s: %v", file, err)
		}
		expect(t, "login", 200, "the app")
	}
}

func TestAccessLog_NamesTheHostFirst(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	raw(t, "GET /a%0ab?x", "login."+domain, "Authorization: "+password+"\r\n", "User-Agent: visitor \"\u009b31m\r\n")
	eventually(t, func() bool {
		log, _ := os.ReadFile(testConfig().AccessLog)
		return strings.Contains(string(log), "login.review.localhost 127.0.0.1 - demo [") &&
			strings.Contains(string(log), `"GET /a%0ab?x HTTP/1.1" 200 `) && strings.Contains(string(log), `"visitor \"\xc2\x9b31m"`)
	})
}

func TestApply_5000Apps(t *testing.T) {
	f := newFront(t, testConfig())
	var sites []review.Site
	for i := range 5000 {
		name := fmt.Sprintf("app-%d", i)
		sites = append(sites, review.Site{
			Name: name, Host: name + "." + domain, Project: "group/shop", Release: release(name), Backend: fmt.Sprintf("127.0.0.1:%d", 10000+i),
			PublicPaths: []string{"/hooks/*"},
		})
	}
	refused, err := f.Apply(context.Background(), sites, nil)
	if err != nil || len(refused) > 0 {
		t.Fatalf("refused %d, error %v", len(refused), err)
	}
	for _, site := range []review.Site{sites[0], sites[4999]} {
		if err := f.Serves(context.Background(), site); err != nil {
			t.Error(err)
		}
	}
}
