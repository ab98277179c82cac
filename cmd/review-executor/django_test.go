package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// browser keeps cookies and asks the host's Apache whatever name it is sent to.
type browser struct {
	*http.Client
	t    *testing.T
	base string
}

type toApache struct{}

func (toApache) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	sent.Host = req.URL.Host
	sent.URL.Host = "127.0.0.1:" + host.Port
	sent.SetBasicAuth("demo", "demo")
	return http.DefaultTransport.RoundTrip(sent)
}

func newBrowser(t *testing.T, app string) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{&http.Client{Jar: jar, Transport: toApache{}}, t, "http://" + app + ".review.localhost:" + host.Port}
}

func (b browser) get(path string) (status int, body string) {
	b.t.Helper()
	resp, err := b.Get(b.base + path)
	return b.read(resp, err)
}

// post sends a form as the page at path would, with its CSRF token.
func (b browser) post(path string, form url.Values) (status int, body string) {
	b.t.Helper()
	_, page := b.get(path)
	token := regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		b.t.Fatalf("no form on %s:\n%s", path, page)
	}
	form.Set("csrfmiddlewaretoken", token[1])
	req, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.base) // as browsers do; Django compares it with the host
	return b.read(b.Do(req))
}

func (b browser) read(resp *http.Response, err error) (int, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestExample_DjangoLogsInAndPostsItsForm goes through Apache: Host, the CSRF
// check and the forwarded headers must be right.
func TestExample_DjangoLogsInAndPostsItsForm(t *testing.T) {
	p := newProject(t, nil)
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join(hosttest.Root(), "examples", "django"))); err != nil {
		t.Fatal(err)
	}
	sha := p.commit(nil)
	p.try("main", "--variable", "REVIEW_HEALTH_PATH=/healthz").succeeded(t)

	b := newBrowser(t, "main")
	status, home := b.get("/")
	if status != 200 || !strings.Contains(home, sha) {
		t.Errorf("the page answers %d and does not show the commit %s:\n%s", status, sha, home)
	}
	style := regexp.MustCompile(`href="(/static/[^"]+\.css)"`).FindStringSubmatch(home)
	if style == nil {
		t.Fatalf("no style sheet on the page:\n%s", home)
	}
	if status, css := b.get(style[1]); status != 200 || !strings.Contains(css, "{") {
		t.Errorf("%s answers %d", style[1], status)
	}
	login := regexp.MustCompile(`href="(/[^"]*login[^"]*)"`).FindStringSubmatch(home)
	if login == nil {
		t.Fatalf("no link to the login on the page:\n%s", home)
	}
	if status, page := b.post(login[1], url.Values{"username": {"demo"}, "password": {"demo"}}); status != 200 || !strings.Contains(strings.ToLower(page), "log out") {
		t.Fatalf("the login answers %d:\n%s", status, page)
	}
	if status, page := b.post("/", url.Values{"message": {"Signed by a <b>test</b>"}}); status != 200 || !strings.Contains(page, "Signed by a &lt;b&gt;test") {
		t.Errorf("the form answers %d:\n%s", status, page)
	}
}
