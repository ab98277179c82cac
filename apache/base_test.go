package apache

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

func TestBaseConfig_Golden(t *testing.T) {
	plain := Defaults()
	secure := plain
	secure.Listen, secure.TLSCertificate, secure.TLSKey = "*:443", "/etc/ssl/review.pem", "/etc/ssl/review.key"
	high := secure
	high.Listen, high.RedirectListen = "127.0.0.1:8443", "[::1]:8080"
	for name, cfg := range map[string]Config{"base": plain, "base-tls": secure, "base-high": high} {
		if problems := cfg.Problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
		got, err := BaseConfig(cfg, "review.example.org")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".conf", got)
	}
}

// TestBaseConfig_IsAllThatApacheNeeds starts an Apache with it alone.
func TestBaseConfig_IsAllThatApacheNeeds(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			cfg := testConfig()
			cfg.TrustedProxies, cfg.NoLoginFrom = []string{"192.0.2.7"}, []string{"192.0.2.0/24"}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if secure {
				roots := x509.NewCertPool()
				cfg.TLSCertificate, cfg.TLSKey = wildcardCertificate(t, roots)
				cfg.RedirectListen = freeAddress(t)
				client.Transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "login." + domain}}
			}
			front := ownApache(t, cfg, "")
			site := app(t, "login", "the app")
			apply(t, front, site)
			req, err := http.NewRequest(http.MethodGet, front.cfg.listenScheme()+"://"+front.cfg.Listen+"/page.html", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = site.Host
			req.SetBasicAuth("demo", "demo")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || !strings.Contains(string(body), "the app") || secure != (resp.ProtoMajor == 2) {
				t.Errorf("it answers %s %s %q", resp.Proto, resp.Status, body)
			}
			eventually(t, func() bool {
				log, err := os.ReadFile(front.cfg.AccessLog)
				return err == nil && strings.Contains(string(log), site.Host+" 127.0.0.1 - demo [")
			})
		})
	}
}

// ownApache is the front of an Apache of the test's own, which listens on a free
// port and has nothing but the base configuration, and more, in which PORT is the port.
func ownApache(t *testing.T, cfg Config, more string) *Front {
	t.Helper()
	dir, err := os.MkdirTemp(host.Dir, "own-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "apache.conf")
	apache := func(args ...string) []string { return append([]string{"/usr/sbin/apache2", "-f", config}, args...) }
	cfg.Listen, cfg.VhostDir, cfg.AccessLog = freeAddress(t), filepath.Join(dir, "vhosts"), filepath.Join(dir, "access.log")
	cfg.Configtest, cfg.Reload.Command = apache("-t"), apache("-k", "graceful")
	base, err := BaseConfig(cfg, domain)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("ServerRoot %[1]s\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\nErrorLog %[1]s/error.log\nServerName localhost\nLoadModule mpm_event_module %[2]s/mod_mpm_event.so\n", dir, moduleDir)
	if os.Getuid() == 0 {
		text += "User www-data\nGroup www-data\n"
	}
	write(t, config, text+string(base)+strings.ReplaceAll(more, "PORT", cfg.listenPort()))
	if err := os.Chmod(dir, 0o755); err != nil { // Apache's children are another user
		t.Fatal(err)
	}
	if out, err := command(context.Background(), apache("-k", "start")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := command(context.Background(), apache("-k", "stop")); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "pid")); return err != nil })
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("%s", log)
		}
	})
	return newTestFront(cfg)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestBaseConfig_PortsOfDebianAreListenedOnOnce lets Apache read it behind Debian's
// ports.conf, with ssl enabled and without.
func TestBaseConfig_PortsOfDebianAreListenedOnOnce(t *testing.T) {
	cfg := Defaults()
	cfg.VhostDir = t.TempDir()
	cfg.Listen, cfg.TLSCertificate, cfg.TLSKey = "*:443", "/etc/ssl/review.pem", "/etc/ssl/review.key"
	base, err := BaseConfig(cfg, domain)
	if err != nil {
		t.Fatal(err)
	}
	const ports = "Listen 80\n<IfModule ssl_module>\nListen 443\n</IfModule>\n"
	enabled := fmt.Sprintf("LoadModule socache_shmcb_module %[1]s/mod_socache_shmcb.so\nLoadModule ssl_module %[1]s/mod_ssl.so\nSSLSessionCache shmcb:ssl_scache(512000)\n", moduleDir)
	for _, c := range []struct {
		what, config string
		accepted     bool
	}{
		{"ssl is not enabled", ports + string(base), true},
		{"ssl is enabled", enabled + ports + string(base), true},
		{"twice", ports + string(base) + "Listen 443\n", false}, // so Apache does look
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "apache.conf")
		write(t, file, fmt.Sprintf("ServerRoot %[1]s\nDefaultRuntimeDir %[1]s\nErrorLog %[1]s/error.log\nServerName localhost\nLoadModule mpm_event_module %[2]s/mod_mpm_event.so\n", dir, moduleDir)+c.config)
		out, err := exec.Command("/usr/sbin/apache2", "-f", file, "-t").CombinedOutput()
		if (err == nil) != c.accepted {
			t.Errorf("%s: %v\n%s", c.what, err, out)
		}
	}
}

func TestVhostTemplate_RendersWhatTheBuiltInDoes(t *testing.T) {
	text, err := VhostTemplate()
	if err != nil {
		t.Fatal(err)
	}
	alone, err := template.New("vhost.conf.tmpl").Parse(text) // all that it needs is in it
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.VhostDir = t.TempDir()
	r := renders(t, New(cfg, domain, "/var/lib/sites", nil))
	for _, site := range []review.Site{
		{Name: "login", Host: "login." + domain, Release: "r1", Backend: "127.0.0.1:8000", PublicPaths: []string{"/hooks/*"}},
		{Name: "docs", Host: "docs." + domain, Release: "r1", Root: "/var/lib/sites/docs/r1"},
	} {
		want, err := r.renderSite(site)
		if err != nil {
			t.Fatal(err)
		}
		v := r.vhost(site.Host, site.Project)
		v.Site = site
		var got bytes.Buffer
		if err := alone.Execute(&got, v); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-built-in +printed):\n%s", site.Name, diff)
		}
	}
}
