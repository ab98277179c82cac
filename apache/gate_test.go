package apache

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// raw sends a request line as it stands, with these headers, and reads the answer.
func raw(t testing.TB, line, host string, headers ...string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+hostPort())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", line, host, strings.Join(headers, ""))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer resp.Body.Close()
	all, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all)
}

func hostPort() string { return host.Port }

// TestGate_PathTricksOpenNothing tries every line of the table in docs/front.md.
func TestGate_PathTricksOpenNothing(t *testing.T) {
	f := newFront(t, testConfig())
	site := app(t, "login", "the app")
	site.PublicPaths = []string{"/payments/webhook", "/hooks/*"}
	apply(t, f, site)
	robots := filepath.Join(testConfig().WWW(), "robots.txt")
	if err := os.MkdirAll(filepath.Dir(robots), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(robots, []byte("Disallow: /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/front.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| (app|password|refused) \\|$").FindAllStringSubmatch(string(doc), -1)
	if len(rows) < 50 {
		t.Fatalf("only %d lines", len(rows))
	}
	for _, row := range rows {
		status, body := raw(t, row[1], "login."+domain)
		got := fmt.Sprint(status)
		switch {
		case status == 401 && !strings.Contains(body, "the app"):
			got = "password"
		case (status == 400 || status == 404 || status == 403) && !strings.Contains(body, "the app"):
			got = "refused"
		case status == 200:
			got = "app"
		}
		if got != row[2] {
			t.Errorf("%s: %s, want %s\n%.200s", row[1], got, row[2], body)
		}
	}
}

// visit sends a request with these headers and no password of its own.
func visit(t testing.TB, method, name, path string, headers ...string) hosttest.Answer {
	t.Helper()
	req, err := http.NewRequest(method, "http://127.0.0.1:"+host.Port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return host.Do(t, req, name+"."+domain, false)
}

const password, wrongPassword = "Basic ZGVtbzpkZW1v", "Basic ZGVtbzp3cm9uZw=="

// ticket is the cookie that the gate gives for the password.
func ticket(t testing.TB, name string) string {
	t.Helper()
	cookie := visit(t, "GET", name, "/", "Authorization", password).Header.Get("Set-Cookie")
	value, rest, _ := strings.Cut(cookie, "; ")
	if !strings.HasPrefix(value, "review-ticket=") || !strings.Contains(rest, "HttpOnly") || strings.Contains(strings.ToLower(rest), "domain") {
		t.Fatalf("the gate gives %q", cookie)
	}
	return value
}

func TestGate_TicketStandsForThePassword(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"), app(t, "cart", "the cart"), siteOfFiles(t, "docs", map[string]string{"index.html": "the docs"}))
	mine := ticket(t, "login")
	got := visit(t, "GET", "login", "/", "Cookie", "a=b; "+mine+"; c=d")
	if got.Status != 200 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("with a ticket: %d %v", got.Status, got.Header)
	}
	if !strings.Contains(got.Body, "\nCookie: a=b; c=d\n") || strings.Contains(got.Body, "review-ticket") {
		t.Errorf("the app got %q", got.Body)
	}
	if got := visit(t, "GET", "login", "/", "Cookie", mine); got.Status != 200 || strings.Contains(got.Body, "Cookie") {
		t.Errorf("the app got %d %q", got.Status, got.Body)
	}
	if got := visit(t, "GET", "cart", "/", "Cookie", mine); got.Status != 401 {
		t.Errorf("another app's ticket: %d", got.Status)
	}
	if got := visit(t, "GET", "docs", "/", "Cookie", ticket(t, "docs")); got.Status != 200 || got.Body != "the docs" {
		t.Errorf("files: %d %q", got.Status, got.Body)
	}
	// As two lines, or from a proxy that joins them.
	for _, joined := range []string{"a=b, " + mine, mine + ", a=b", mine + " ; a=b"} {
		if got := visit(t, "GET", "login", "/", "Cookie", joined); got.Status != 200 || strings.Contains(got.Body, "review-ticket") || !strings.Contains(got.Body, "a=b") {
			t.Errorf("%q: %d %q", joined, got.Status, got.Body)
		}
	}
	for _, forged := range []string{"review-ticket=", "review-ticket=x", mine + "0", "x" + mine, "a=" + mine, mine[:len(mine)-1], strings.ToUpper(mine)} {
		if got := visit(t, "GET", "login", "/", "Cookie", forged); got.Status != 401 {
			t.Errorf("%q: %d", forged, got.Status)
		}
	}
	// A cookie of a sibling, set for the whole domain, does not lock anybody out.
	if got := visit(t, "GET", "login", "/", "Cookie", "review-ticket=x; "+mine); got.Status != 200 || strings.Contains(got.Body, "Cookie") {
		t.Errorf("beside a foreign ticket: %d %q", got.Status, got.Body)
	}
}

func TestGate_NoTicketForWhoDoesNotPass(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"wrong password":     func(*Config) {},
		"unreadable file":    func(c *Config) { c.Htpasswd += ".missing" },
		"addresses, no user": func(c *Config) { c.NoLoginFrom = []string{"127.0.0.1"} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			change(&cfg)
			f := newFront(t, cfg)
			site := app(t, "login", "the app")
			site.PublicPaths = []string{"/hook"}
			if _, err := f.Apply(context.Background(), []review.Site{site}, nil); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return visit(t, "GET", "login", "/").Header.Get("X-Review-Release") != "" })
			for _, path := range []string{"/", "/hook", "/manifest.json", "/.review-executor/state.html", "/.review-executor/x"} {
				for _, headers := range [][]string{{"Authorization", wrongPassword}, {}, {"Authorization", "Basic " + strings.Repeat("!", 9)}, {"Authorization", "Bearer x"}} {
					if got := visit(t, "GET", "login", path, headers...); got.Header.Get("Set-Cookie") != "" {
						t.Errorf("%s with %v: %d and %q", path, headers, got.Status, got.Header.Get("Set-Cookie"))
					}
				}
			}
		})
	}
}

func TestGate_TicketsChangeWithTheUsersAndTheDay(t *testing.T) {
	cfg := testConfig()
	users, err := os.ReadFile(cfg.Htpasswd)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Htpasswd = filepath.Join(host.Dir, "own-htpasswd")
	t.Cleanup(func() { os.Remove(cfg.Htpasswd) })
	if err := os.WriteFile(cfg.Htpasswd, users, 0o644); err != nil {
		t.Fatal(err)
	}
	f := newFront(t, cfg)
	now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	of := func(when time.Time) (today, yesterday string) {
		tickets, err := newTickets(cfg, when)
		if err != nil {
			t.Fatal(err)
		}
		return tickets.of("login."+domain, "")
	}
	if err := os.MkdirAll(cfg.VhostDir, 0o755); err != nil {
		t.Fatal(err)
	}
	today, yesterday := of(now)
	next, before := of(now.Add(2 * time.Minute))
	if today == yesterday || next == today || before != today {
		t.Errorf("%s and %s, then %s and %s", today, yesterday, next, before)
	}
	site := app(t, "login", "the app")
	apply(t, f, site)
	mine := ticket(t, "login")
	if err := os.WriteFile(cfg.Htpasswd, append(users, "other:x\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	apply(t, f, site)
	eventually(t, func() bool { return visit(t, "GET", "login", "/", "Cookie", mine).Status == 401 })
}

func TestGate_AppHasTheAuthorizationHeaderForItself(t *testing.T) {
	f := newFront(t, testConfig())
	site := app(t, "login", "the app")
	site.PublicPaths = []string{"/hook"}
	apply(t, f, site)
	mine := ticket(t, "login")
	for _, c := range []struct {
		path, authorization string
		reaches             bool
	}{
		{"/", "Bearer abc.basic.def", true}, {"/", "Token token=x", true}, {"/", password, false}, {"/", "basic x", false}, {"/", "BASIC\tx", false},
		{"/", "Bearer x, " + password, false}, {"/", " Basic x", false}, {"/", "Basic", false},
		{"/hook", "Bearer x", true}, {"/hook", password, false}, {"/hook", wrongPassword, false},
	} {
		got := visit(t, "GET", "login", c.path, "Cookie", mine, "Authorization", c.authorization)
		if reached := strings.Contains(got.Body, "Authorization: "+c.authorization+"\n"); got.Status != 200 || reached != c.reaches {
			t.Errorf("%s with %q: %d, it reaches the app: %v", c.path, c.authorization, got.Status, reached)
		}
		if !c.reaches && strings.Contains(got.Body, "Authorization") {
			t.Errorf("%q: the app got %q", c.authorization, got.Body)
		}
	}
	if got := visit(t, "POST", "login", "/hook", "Authorization", "Bearer x"); got.Status != 200 || !strings.Contains(got.Body, "Authorization: Bearer x") {
		t.Errorf("a webhook with a token: %d %q", got.Status, got.Body)
	}
	if got := visit(t, "GET", "login", "/", "Authorization", password, "Authorization", "Bearer x"); strings.Contains(got.Body, "ZGVtbzpkZW1v") {
		t.Errorf("two headers: the app got %q", got.Body)
	}
}

func TestGate_PreflightAndManifestPass(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	preflight := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}
	if got := visit(t, "OPTIONS", "login", "/api", preflight...); got.Status != 200 {
		t.Errorf("preflight: %d", got.Status)
	}
	for name, answer := range map[string]hosttest.Answer{
		"no origin":      visit(t, "OPTIONS", "login", "/api", preflight[2:]...),
		"no method":      visit(t, "OPTIONS", "login", "/api", preflight[:2]...),
		"another method": visit(t, "GET", "login", "/api", preflight...),
		"an override":    visit(t, "POST", "login", "/api", append(preflight, "X-HTTP-Method-Override", "OPTIONS")...),
	} {
		if answer.Status != 401 {
			t.Errorf("%s: %d", name, answer.Status)
		}
	}
}

func TestGate_ProjectHasUsersOfItsOwn(t *testing.T) {
	cfg := testConfig()
	own := filepath.Join(host.Dir, "shop-htpasswd")
	t.Cleanup(func() { os.Remove(own) })
	if err := os.WriteFile(own, []byte("shop:"+bcryptOf(t, "shop")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	newFront(t, cfg)
	f := New(cfg, domain, sites(), map[string]string{"group/shop": own})
	shop, other := app(t, "login", "the app"), app(t, "other", "the other app")
	shop.Project, other.Project = "group/shop", "group/other"
	apply(t, f, shop, other)
	theirs := "Basic c2hvcDpzaG9w"
	for _, c := range []struct {
		app, authorization string
		want               int
	}{{"login", password, 200}, {"login", theirs, 200}, {"other", password, 200}, {"other", theirs, 401}, {"login", wrongPassword, 401}} {
		if got := visit(t, "GET", c.app, "/", "Authorization", c.authorization); got.Status != c.want {
			t.Errorf("%s with %s: %d, want %d", c.app, c.authorization, got.Status, c.want)
		}
	}
}

func TestGate_AddressesAndNone(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"addresses": func(c *Config) { c.NoLoginFrom = []string{"127.0.0.0/8"} },
		"none":      func(c *Config) { c.Login = LoginNone },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			change(&cfg)
			f := newFront(t, cfg)
			apply(t, f, app(t, "login", "the app"))
			if got := visit(t, "GET", "login", "/", "Authorization", "Bearer x"); got.Status != 200 || !strings.Contains(got.Body, "Authorization: Bearer x") {
				t.Errorf("%d %q", got.Status, got.Body)
			}
		})
	}
	cfg := testConfig()
	cfg.NoLoginFrom = []string{"192.0.2.0/24"}
	f := newFront(t, cfg)
	apply(t, f, app(t, "login", "the app"))
	if got := visit(t, "GET", "login", "/", "X-Forwarded-For", "192.0.2.7"); got.Status != 401 {
		t.Errorf("a forged address: %d", got.Status)
	}
}

// answers starts a backend with this handler.
func answers(t *testing.T, name string, handler http.HandlerFunc) review.Site {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return review.Site{Name: name, Host: name + "." + domain, Release: release(name), Backend: server.Listener.Addr().String()}
}

func TestIsolation_CookiesStayWithTheirHost(t *testing.T) {
	f := newFront(t, testConfig())
	sent := map[string]string{
		"a=1; Domain=.review.localhost; Path=/":         "a=1; Path=/",
		"a=1; domain=review.localhost":                  "a=1",
		"a=1;DOMAIN = x ;Secure":                        "a=1;Secure",
		"a=1; Domain":                                   "a=1",
		"a=1; Domain=; HttpOnly":                        "a=1; HttpOnly",
		"a=1; Domain=x; Domain=y; Max-Age=5":            "a=1; Max-Age=5",
		"a=\"x; domain=y\"; Path=/":                     "a=\"x; Path=/",
		"domain=review.localhost; Path=/":               "domain=review.localhost; Path=/",
		"review-ticket=stolen":                          "",
		"__Host-review-ticket=stolen; Path=/; Secure":   "",
		"b=domain=x; Expires=Wed, 21 Oct 2099 07:28:00": "b=domain=x; Expires=Wed, 21 Oct 2099 07:28:00",
	}
	site := answers(t, "baker", func(w http.ResponseWriter, r *http.Request) {
		for cookie := range sent {
			w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], cookie)
		}
		w.Header().Set("Alt-Svc", `h2=":8443"`)
		w.Header().Set("Clear-Site-Data", `"cookies"`)
		w.Header().Set("Referrer-Policy", "no-referrer")
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	apply(t, f, site)
	mine := ticket2(t, "baker")
	for _, path := range []string{"/", "/missing"} {
		got := visit(t, "GET", "baker", path, "Cookie", mine)
		left := map[string]int{}
		for _, cookie := range got.Header.Values("Set-Cookie") {
			left[cookie]++
		}
		for cookie, want := range sent {
			if left[want] == 0 {
				t.Errorf("%s: %q did not become %q: %q", path, cookie, want, got.Header.Values("Set-Cookie"))
			}
		}
		if len(got.Header.Values("Set-Cookie")) > len(sent) {
			t.Errorf("%q", got.Header.Values("Set-Cookie"))
		}
		if got.Header.Get("Alt-Svc") != "" || got.Header.Get("Clear-Site-Data") != "" || got.Header.Get("Referrer-Policy") != "no-referrer" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", got.Header)
		}
	}
}

// ticket2 is ticket for an app that sets cookies itself.
func ticket2(t testing.TB, name string) string {
	t.Helper()
	for _, cookie := range visit(t, "GET", name, "/", "Authorization", password).Header.Values("Set-Cookie") {
		if value, _, _ := strings.Cut(cookie, ";"); strings.HasPrefix(value, "review-ticket=") && len(value) > 30 {
			return value
		}
	}
	t.Fatal("no ticket")
	return ""
}

func TestBackend_WhatTheVisitorSaysOfHimselfIsDropped(t *testing.T) {
	f := newFront(t, testConfig())
	site := answers(t, "echo", func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) })
	apply(t, f, site)
	headers := []string{"Cookie", ticket(t, "echo"), "Connection", "X-Forwarded-For, X-Forwarded-Proto, X-Real-IP, close", "X-Forwarded-Proto", "https"}
	for _, name := range append(foreignHeaders, "X-Real-IP", "X-Forwarded-Port", "X_Review_Gate") {
		if name != "Proxy-Authorization" {
			headers = append(headers, name, "forged")
		}
	}
	got := visit(t, "GET", "echo", "/", headers...)
	for _, want := range []string{
		"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Real-Ip: 127.0.0.1\r\n", "X-Forwarded-Host: echo.review.localhost\r\n",
		"X-Forwarded-Port: " + host.Port + "\r\n",
	} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the app did not get %q:\n%s", want, got.Body)
		}
	}
	if got.Status != 200 || strings.Contains(got.Body, "forged") {
		t.Errorf("%d\n%s", got.Status, got.Body)
	}
}

func TestBackend_InterimAnswersPassNoHeaders(t *testing.T) {
	f := newFront(t, testConfig())
	site := answers(t, "hints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b; Domain="+domain)
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "the page")
	})
	site.PublicPaths = []string{"/"}
	apply(t, f, site)
	if status, body := raw(t, "GET /", "hints."+domain); status != 200 || body != "the page" {
		t.Errorf("%d %q", status, body)
	}
}

func TestTickets_FileThatMayNotBeReadStillCounts(t *testing.T) {
	file := t.TempDir() // may be looked at, and not be read
	before := digest(file)
	if err := os.WriteFile(filepath.Join(file, "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if before == "-" || digest(file) == before {
		t.Errorf("%s, then %s", before, digest(file))
	}
}

func TestBackend_TrustedProxyIsBelieved(t *testing.T) {
	said := []string{"X-Forwarded-For", "198.51.100.9", "X-Forwarded-Proto", "https"}
	for proxy, want := range map[string][]string{
		"127.0.0.0/8": {"X-Forwarded-For: 198.51.100.9\r\n", "X-Real-Ip: 198.51.100.9\r\n", "X-Forwarded-Proto: https\r\n"},
		"10.0.0.5":    {"X-Forwarded-For: 127.0.0.1\r\n", "X-Real-Ip: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n"},
	} {
		t.Run(proxy, func(t *testing.T) {
			cfg := testConfig()
			cfg.TrustedProxies = []string{proxy}
			f := newFront(t, cfg)
			apply(t, f, answers(t, "echo", func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) }))
			got := visit(t, "GET", "echo", "/", append(said, "Cookie", ticket(t, "echo"))...)
			for _, line := range want {
				if !strings.Contains(got.Body, line) {
					t.Errorf("the app did not get %q:\n%s", line, got.Body)
				}
			}
			if got := visit(t, "GET", "echo", "/", "Cookie", ticket(t, "echo"), "X-Forwarded-Proto", "gopher"); !strings.Contains(got.Body, "X-Forwarded-Proto: http\r\n") {
				t.Errorf("a scheme that is none:\n%s", got.Body)
			}
		})
	}
}

// page writes what the pages' writer would.
func page(t *testing.T, file, content string) {
	t.Helper()
	path := filepath.Join(testConfig().WWW(), file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

func TestState_PageInPlaceOfADeadApp(t *testing.T) {
	f := newFront(t, testConfig())
	site := app(t, "login", "the app")
	apply(t, f, site)
	mine := ticket(t, "login")
	site.Backend, site.Release = "127.0.0.1:1024", "r-dead" // nobody listens
	site.PublicPaths = []string{"/hook"}
	page(t, "state/login."+domain+".html", "the state of group/shop")
	apply(t, f, site)
	for _, headers := range [][]string{{"Cookie", mine}, {"Authorization", password}} {
		for _, path := range []string{"/", "/a/b", "/hook"} {
			if path == "/hook" && headers[0] != "Cookie" {
				continue // a password is not looked at there
			}
			if got := visit(t, "GET", "login", path, headers...); got.Status != 503 || got.Body != "the state of group/shop" {
				t.Errorf("%s: %d %q", path, got.Status, got.Body)
			}
		}
	}
	if got := visit(t, "POST", "login", "/hook"); got.Status != 503 || strings.Contains(got.Body, "group/shop") {
		t.Errorf("a webhook: %d %q", got.Status, got.Body)
	}
	own := answers(t, "own", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the app's own words", http.StatusServiceUnavailable)
	})
	apply(t, f, own)
	if got := visit(t, "GET", "own", "/", "Authorization", password); got.Status != 503 || got.Body != "the app's own words\n" {
		t.Errorf("an app's own 503: %d %q", got.Status, got.Body)
	}
}

func TestState_PageOfAnAppThatHasEnded(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	page(t, "state/gone."+domain+".html", "it was merged")
	if got := visit(t, "GET", "gone", "/"); got.Status != 401 || strings.Contains(got.Body, "merged") {
		t.Errorf("without a password: %d %q", got.Status, got.Body)
	}
	for _, path := range []string{"/", "/a/b", "/index.html"} {
		if got := visit(t, "GET", "gone", path, "Authorization", password); got.Status != 404 || got.Body != "it was merged" {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
	if got := visit(t, "GET", "gone", "/.review-executor/state.html"); strings.Contains(got.Body, "merged") {
		t.Errorf("the page itself, without a password: %d %q", got.Status, got.Body)
	}
	if got := visit(t, "GET", "never", "/"); got.Status != 404 || !strings.Contains(got.Body, "No review app") {
		t.Errorf("a name of nobody: %d %q", got.Status, got.Body)
	}
}

func TestIndex_IsBehindTheGate(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	page(t, "index/index.html", "all apps")
	page(t, "index/apps.json", `{"apps":[]}`)
	page(t, "robots.txt", "Disallow: /\n")
	ask := func(path string, headers ...string) hosttest.Answer {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return host.Do(t, req, domain, false)
	}
	for path, want := range map[string]string{"/": "all apps", "/apps.json": `{"apps":[]}`} {
		if got := ask(path, "Authorization", password); got.Status != 200 || got.Body != want {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
		if got := ask(path); got.Status != 401 || strings.Contains(got.Body, want) {
			t.Errorf("%s without a password: %d %q", path, got.Status, got.Body)
		}
	}
	for _, path := range []string{"/../state/", "/../../.ticket-key", "/../../app-login.conf", "/%2e%2e/%2e%2e/.ticket-key", "/missing"} {
		if got := ask(path, "Authorization", password); got.Status == 200 {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
	if got := ask("/robots.txt"); got.Status != 200 || got.Body != "Disallow: /\n" {
		t.Errorf("robots.txt: %d %q", got.Status, got.Body)
	}
}

// bcryptOf is the hash of a password by htpasswd.
func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	out, err := exec.Command("htpasswd", "-nbB", "user", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, hash, _ := strings.Cut(strings.TrimSpace(string(out)), ":")
	return hash
}
