package apache

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// chromium is a browser with one page, whose user gives the password when asked.
type chromium struct {
	ctx   context.Context // of the page
	close func() error

	mu       sync.Mutex
	asked    map[string]int // for a password, by host
	problems []string
	// An interface of this machine came or went, as with every container that starts:
	// Chromium then ends the requests that are under way.
	disturbed bool
}

const ofTheNetwork = "ERR_NETWORK_CHANGED"

func newChromium(t *testing.T, f secure) *chromium {
	t.Helper()
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(filepath.Join(home, "profile")), chromedp.Env("HOME="+home),
		chromedp.Flag("host-resolver-rules", "MAP *."+domain+" 127.0.0.1"),
		chromedp.Flag("ignore-certificate-errors-spki-list", keyHash(t, f.certificate)),
		chromedp.NoSandbox) // there is none for root, nor in many containers, and the pages are ours
	limited, cancelTime := context.WithTimeout(context.Background(), 3*time.Minute)
	allocator, cancelAllocator := chromedp.NewExecAllocator(limited, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	c := &chromium{ctx: ctx, asked: map[string]int{}}
	c.close = func() error {
		defer cancelTime()
		defer cancelAllocator()
		defer cancel()
		return chromedp.Cancel(ctx)
	}
	yes := true
	err := chromedp.Listen(ctx, c.heard)
	if err == nil {
		_, err = chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &yes})
	}
	if err != nil {
		_ = c.close()
		t.Fatal(err)
	}
	return c
}

// keyHash is that of the certificate's key, by which the browser trusts it.
func keyHash(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// heard lets every request go on, and answers where a browser shows a dialog.
func (c *chromium) heard(event any) {
	switch event := event.(type) {
	case *network.EventLoadingFailed:
		c.mu.Lock()
		c.disturbed = c.disturbed || strings.Contains(event.ErrorText, ofTheNetwork)
		c.mu.Unlock()
	case *log.EventEntryAdded: // where a WebSocket or an event stream says it
		c.mu.Lock()
		c.disturbed = c.disturbed || strings.Contains(event.Entry.Text, ofTheNetwork)
		c.mu.Unlock()
	case *fetch.EventRequestPaused:
		go func() {
			_, _ = chromedp.Call(c.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: event.RequestID})
		}()
	case *fetch.EventAuthRequired:
		asked, _ := url.Parse(event.Request.URL)
		c.mu.Lock()
		c.asked[asked.Hostname()]++
		c.mu.Unlock()
		go func() {
			_, _ = chromedp.Call(c.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: event.RequestID, AuthChallengeResponse: &fetch.AuthChallengeResponse{
				Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: "demo", Password: "demo",
			}})
		}()
	}
}

func (c *chromium) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	problem := fmt.Sprintf(format, args...)
	c.problems = append(c.problems, problem)
	c.disturbed = c.disturbed || strings.Contains(problem, ofTheNetwork)
}

// step is one thing that the user does; a promise of the page that is not kept ends it.
func (c *chromium) step(what string, do func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	c.mu.Lock()
	disturbed := c.disturbed
	c.mu.Unlock()
	if disturbed {
		return
	}
	if err := do(ctx); err != nil {
		c.problem("%s: %v", what, err)
	}
}

func (c *chromium) open(app string) {
	c.step(app, func(ctx context.Context) error {
		return chromedp.Do(ctx, chromedp.Navigate("https://"+app+"."+domain+":"+host.Port+"/"))
	})
}

// script runs in the page; what it returns, or promises, must be want.
func (c *chromium) script(what, script, want string) {
	c.step(what, func(ctx context.Context) error {
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err == nil && got != want {
			err = fmt.Errorf("%q, want %q", got, want)
		}
		return err
	})
}

func TestChromium_LogsInOnceAndTheAppWorks(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("there is no chromium: scripts/install.sh chromium")
	}
	f := newSecureFront(t, func(*Config) {})
	apply(t, f.Front, webApp(t, "login"), webApp(t, "cart"))
	for range 10 {
		c := newChromium(t, f)
		c.visit(requestLog(t), func() string { return requestLog(t) })
		if err := c.close(); err != nil {
			t.Error(err)
		}
		if !c.disturbed {
			if len(c.problems) > 0 {
				t.Error(strings.Join(c.problems, "\n"))
			}
			return
		}
		t.Log("once more, because the network of this machine changed meanwhile:", c.problems)
	}
	t.Error("the network of this machine does not rest")
}

// visit is what a user does with two apps. before is the access log up to here.
func (c *chromium) visit(before string, requestLog func() string) {
	c.open("login")
	c.script("page", `document.title`, "login")
	c.script("style sheet", `getComputedStyle(document.body).color`, "rgb(1, 2, 3)")
	c.script("script", `window.loaded`, "yes")
	c.script("image", `(async () => { const i = document.querySelector("img"); await i.decode(); return String(i.naturalWidth) })()`, "7")
	c.script("protocol", `performance.getEntriesByType("navigation")[0].nextHopProtocol`, "h2")
	c.manifest("login")
	c.script("service worker", `(async () => {
		const controlled = new Promise(done => navigator.serviceWorker.oncontrollerchange = done)
		await navigator.serviceWorker.register("/sw.js")
		await controlled
		return (await fetch("/from-the-worker")).text()
	})()`, "said by the worker")
	c.script("request with a token", `fetch("/api", {headers: {Authorization: "Bearer abc"}}).then(r => r.text())`, "Bearer abc")
	c.script("WebSocket", `new Promise((done, failed) => {
		const socket = new WebSocket(location.origin.replace("https", "wss") + "/socket")
		socket.onopen = () => socket.send("hello")
		socket.onmessage = e => { done(e.data); socket.close() }
		socket.onerror = () => failed("no socket")
	})`, "echo hello")
	c.script("events", `new Promise((done, failed) => {
		const events = new EventSource("/events"), got = []
		events.onmessage = e => { got.push(e.data); if (got.length == 2) { done(got.join()); events.close() } }
		events.onerror = () => failed("no events")
	})`, "one,two")
	c.step("form", func(ctx context.Context) error {
		return chromedp.Do(ctx, chromedp.SendKeys("#field", "typed"), chromedp.Click("#send"), chromedp.WaitVisible("#sent"))
	})
	c.script("form", `document.querySelector("#sent").textContent`, "typed")

	c.open("cart")
	c.script("another app", `document.title`, "cart")
	c.script("another app's service worker", `String(navigator.serviceWorker.controller)`, "null")
	const seen = `fetch("/cookies").then(r => r.text()).then(sent => [sent, document.cookie].map(all => all.split("; ").sort().join(" ")).join(", "))`
	c.script("cookies of cart", seen, "cart-by-header=1 cart-by-script=1, cart-by-header=1 cart-by-script=1")
	c.open("login")
	c.script("cookies of login", seen, "login-by-header=1 login-by-script=1, login-by-header=1 login-by-script=1")
	c.step("cookies that are kept", cookiesStayAtHome)

	for _, app := range []string{"login", "cart"} {
		name := app + "." + domain
		if c.asked[name] != 1 {
			c.problem("%s asked %d times for the password", name, c.asked[name])
		}
		if refused := refusals(requestLog()[len(before):], name); len(refused) != 1 {
			c.problem("401 %d times:\n%s", len(refused), strings.Join(refused, "\n"))
		}
	}
}

// manifest has the browser load the page's manifest, which it does without a password.
func (c *chromium) manifest(app string) {
	c.step("manifest", func(ctx context.Context) error {
		got, err := chromedp.Call(ctx, cdppage.GetAppManifest, cdppage.GetAppManifestParams{})
		if err == nil && (len(got.Errors) > 0 || !strings.Contains(got.Data, fmt.Sprintf(`"name":%q`, app))) {
			err = fmt.Errorf("%q with %d errors", got.Data, len(got.Errors))
		}
		return err
	})
}

// cookiesStayAtHome looks at what the browser keeps: a domain with a dot in front would
// be sent to other apps too.
func cookiesStayAtHome(ctx context.Context) error {
	got, err := chromedp.Call(ctx, storage.GetCookies, storage.GetCookiesParams{})
	if err != nil {
		return err
	}
	tickets := 0
	for _, cookie := range got.Cookies {
		if cookie.Domain != "login."+domain && cookie.Domain != "cart."+domain {
			return fmt.Errorf("%s is for %s", cookie.Name, cookie.Domain)
		}
		if cookie.Name == "__Host-review-ticket" && cookie.HTTPOnly && cookie.Secure {
			tickets++
		}
	}
	if tickets != 2 {
		return fmt.Errorf("%d tickets", tickets)
	}
	return nil
}

func requestLog(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(testConfig().AccessLog)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// refusals are the lines of an access log with which a browser was asked for a password.
func refusals(log, name string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, name+" ") && strings.Contains(line, `" 401 `) && strings.Contains(line, "Chrome") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
