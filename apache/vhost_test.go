package apache

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestRender_Golden(t *testing.T) {
	plain := Defaults()
	secure := plain
	secure.Listen, secure.TLSCertificate, secure.TLSKey = "*:443", "/etc/ssl/review.pem", "/etc/ssl/review.key"
	behind := plain
	behind.PublicScheme, behind.TrustedProxies, behind.NoLoginFrom = "https", []string{"10.0.0.5", "10.1.0.0/16"}, []string{"192.0.2.0/24"}
	custom := plain
	custom.Login, custom.LoginConfig = LoginCustom, "/etc/review-executor/login.conf"
	open := plain
	open.Login = LoginNone
	site := review.Site{
		Name: "login-form", Host: "login-form.review.example.org", Project: "group/shop", Release: "3f2c1a9-4711", Backend: "127.0.0.1:34817",
		PublicPaths: []string{"/payments/webhook", "/hooks/*"},
	}
	sleeps := site
	sleeps.Sleeps = true
	static := review.Site{Name: "handbook", Host: "handbook.review.example.org", Project: "group/docs", Release: "3f2c1a9-4711", Root: "/var/lib/review-executor/sites/handbook/3f2c1a9-4711"}
	for name, cfg := range map[string]Config{"plain": plain, "tls": secure, "behind": behind, "custom": custom, "open": open} {
		if problems := cfg.Problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
		r := renderer{
			Front:    New(cfg, "review.example.org", "/var/lib/review-executor/sites", map[string]string{"group/shop": "/etc/review-executor/shop.htpasswd"}),
			template: templates(),
			script:   map[bool]string{true: cfg.script()}[cfg.Login == LoginPassword],
			tickets:  tickets{key: []byte("of the golden files"), day: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), own: map[string]string{}},
		}
		sites := map[string]review.Site{name + ".conf": site, name + "-static.conf": static}
		if name == "plain" {
			sites[name+"-sleeps.conf"] = sleeps
		}
		for file, site := range sites {
			vhost, err := r.renderSite(site)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, vhost)
		}
		rest, err := r.renderRest()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+"-unknown.conf", append(rest["00-unknown.conf"], rest["zz-unknown.conf"]...))
	}
}

func TestRender_DocumentRootIsTheReleasesOwn(t *testing.T) {
	front := New(testConfig(), domain, "/var/sites", nil)
	for _, root := range []string{
		"/", "/var/sites", "/var/sites/docs", "/var/sites/docs/r1/..", "/etc", "/var/sites/docs/r2", "/var/sites/other/r1", "sites/docs/r1", "/var/../sites/docs/r1", "/a\nRequire/sites/docs/r1", `/a"/sites/docs/r1`, "/a b/sites/docs/r1", "/${x}/sites/docs/r1",
	} {
		site := review.Site{Name: "docs", Host: "docs." + domain, Release: "r1", Root: root}
		if _, err := renders(t, front).renderSite(site); err == nil {
			t.Errorf("%q is taken", root)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

func TestVhost_AppSeesItsHostAndNeitherPasswordNorForgedHeaders(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+"/a%2Fb/../c?x=%20y", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "login." + domain
	req.SetBasicAuth("demo", "demo")
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Proxy"} {
		req.Header.Set(name, "forged")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := "the app\nhost login.review.localhost\nuri /a%2Fb/../c?x=%20y\nX-Forwarded-Proto: http\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: login.review.localhost\n"
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("the app got (-want +got):\n%s", diff)
	}
}

func TestVhost_WrongPasswordNeverReachesTheApp(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	for _, authorization := range []string{"", "Basic ZGVtbzp3cm9uZw==", "Bearer token", "Basic !!!"} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "DELETE", "PROPFIND"} {
			req, err := http.NewRequest(method, "http://127.0.0.1:"+host.Port+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "login." + domain
			req.Header.Set("Authorization", authorization)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != `Basic realm="Review apps"` {
				t.Errorf("%s with %q: %d %s", method, authorization, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
			}
		}
	}
}

func TestVhost_WebSocketPasses(t *testing.T) {
	f := newFront(t, testConfig())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, "echo "+line)
	}))
	defer server.Close()
	apply(t, f, review.Site{Name: "chat", Host: "chat." + domain, Release: "r1", Backend: server.Listener.Addr().String()})

	conn, err := net.Dial("tcp", "127.0.0.1:"+host.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: chat.%s\r\nAuthorization: Basic ZGVtbzpkZW1v\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", domain)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer %v, error %v", resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestVhost_TLS(t *testing.T) {
	cfg := testConfig()
	roots := x509.NewCertPool()
	cfg.TLSCertificate, cfg.TLSKey = wildcardCertificate(t, roots)
	f := newFront(t, cfg)
	site := app(t, "login", "the app")
	apply(t, f, site)
	if got, want := f.URL(site.Host), "https://login.review.localhost:"+host.Port; got != want {
		t.Errorf("URL %s, want %s", got, want)
	}
	client := func(name string) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}}
	}
	for name, want := range map[string]struct {
		status int
		text   string
	}{"login": {200, "X-Forwarded-Proto: https"}, "other": {404, "No review app"}} {
		req, err := http.NewRequest(http.MethodGet, "https://127.0.0.1:"+host.Port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = name + "." + domain
		req.SetBasicAuth("demo", "demo")
		resp, err := client(req.Host).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want.status || !strings.Contains(string(body), want.text) {
			t.Errorf("%s answers %d %q, want %d %q", name, resp.StatusCode, body, want.status, want.text)
		}
	}
}

// wildcardCertificate makes a certificate for the domain, valid for an hour,
// and trusts it in roots.
func wildcardCertificate(t *testing.T, roots *x509.CertPool) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "*." + domain},
		DNSNames:     []string{"*." + domain, domain},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(host.Dir, "tls.pem"), filepath.Join(host.Dir, "tls.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestURL_LeavesOutTheUsualPort(t *testing.T) {
	for listen, want := range map[string]string{"*:80": "http://a.b", "*:8080": "http://a.b:8080", "[::1]:80": "http://a.b"} {
		if got := New(Config{Listen: listen}, "b", "/sites", nil).URL("a.b"); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
	if got := New(Config{Listen: "*:443", TLSCertificate: "/c"}, "b", "/sites", nil).URL("a.b"); got != "https://a.b" {
		t.Errorf("TLS: %s", got)
	}
}
