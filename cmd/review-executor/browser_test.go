package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
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
