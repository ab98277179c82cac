package pages_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/review"
)

var screenshots = flag.String("screenshots", "", "directory for screenshots of the pages")

// browser opens a page of the pages' directory in headless Chromium.
type browser struct {
	context.Context
	t    *testing.T
	base string
}

func newBrowser(t *testing.T, dir string) browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed; scripts/test.sh does so")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	home, err := os.MkdirTemp("", "browser") // short: there will be sockets in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(home),
		chromedp.Env("HOME="+home, "TMPDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // lets it tidy up
	if err := chromedp.Do(ctx); err != nil {       // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	return browser{ctx, t, server.URL + "/"}
}

func (b browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func value[T any](b browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, 2*time.Minute)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// eval evaluates JavaScript, of which a promise is awaited.
func eval[T any](b browser, script string) T {
	b.t.Helper()
	return value(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// open shows a page on a screen so wide, in "light" or "dark".
func (b browser) open(page string, width int64, scheme string) {
	b.t.Helper()
	var device []chromedp.EmulateViewportOption
	if width < 600 {
		device = append(device, chromedp.EmulateMobile)
	}
	b.do(
		chromedp.EmulateViewport(width, 900, device...),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return err
		}),
		chromedp.Navigate(b.base+page),
	)
}

// shown are the names of the apps that are to be seen.
func (b browser) shown() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("[data-app]")].filter(e => e.offsetParent).map(e => e.querySelector("h3").textContent)`)
}

// looks writes the pages that are looked at, and names them.
func looks(t *testing.T) (root string, all map[string]string) {
	t.Helper()
	root, all = t.TempDir(), map[string]string{}
	write := func(name string, o review.Overview) {
		p := pages.New(filepath.Join(root, name), domain, "")
		p.Index = "https://" + domain
		if err := p.Write(o); err != nil {
			t.Fatal(err)
		}
	}
	for name, o := range map[string]review.Overview{"index-0": {}, "index-3": three(), "index-200": many(200)} {
		write(name, o)
		all[name] = name + "/index/index.html"
	}
	write("state", harmless.overview())
	for _, name := range []string{"a-live", "b-next", "c-deploying", "d-failed", "e-stopping", "gone"} {
		all["state-"+name] = "state/state/" + name + "." + domain + ".html"
	}
	all["waking"] = "state/waking.html"
	return root, all
}

// screens are what the pages are looked at with.
var screens = []struct {
	name   string
	width  int64
	scheme string
}{{"phone-light", 390, "light"}, {"phone-dark", 390, "dark"}, {"desktop-light", 1280, "light"}, {"desktop-dark", 1280, "dark"}}

func TestBrowser_NoPageIsWiderThanTheScreen(t *testing.T) {
	root, all := looks(t)
	b := newBrowser(t, root)
	for name, page := range all {
		for _, screen := range screens {
			b.open(page, screen.width, screen.scheme)
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > screen.width {
				t.Errorf("%s is %d pixels wide on %s", name, wide, screen.name)
			}
			b.shoot(name + "-" + screen.name)
		}
	}
}

// shoot writes a screenshot if -screenshots wants them.
func (b browser) shoot(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	image := value(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// TestBrowser_AccessibilityCheckFindsNothingSerious has axe-core judge every page.
func TestBrowser_AccessibilityCheckFindsNothingSerious(t *testing.T) {
	axe, err := os.ReadFile(os.Getenv("AXE_CORE"))
	if err != nil {
		t.Skip("AXE_CORE does not name axe.min.js of axe-core; scripts/test.sh gets it where there is npm")
	}
	root, all := looks(t)
	b := newBrowser(t, root)
	for name, page := range all {
		for _, screen := range screens {
			b.open(page, screen.width, screen.scheme)
			eval[bool](b, string(axe)+"; true")
			for _, v := range b.violations() {
				t.Errorf("%s on %s: %s (%s): %s\n%v", name, screen.name, v.ID, v.Impact, v.Help, v.Nodes)
			}
		}
	}
}

// violation is one of axe-core's findings.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// violations are all findings but one: a page that waits for a deploy has nothing
// that a reload takes from anybody, and without a script nothing else tells the end.
func (b browser) violations() (found []violation) {
	b.t.Helper()
	text := eval[string](b, `axe.run({rules: {"meta-refresh": {enabled: false}}}).then(r => JSON.stringify(r.violations))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	return found
}

func TestBrowser_SearchFindsAppsByAnyWord(t *testing.T) {
	root, all := looks(t)
	b := newBrowser(t, root)
	b.open(all["index-3"], 1280, "light")
	for query, want := range map[string][]string{
		"":                  {"login-form", "main", "search"},
		"LOGIN":             {"login-form"},
		"web/":              {"search"},
		"boris":             {"search"},
		"failed":            {"login-form"},
		"anna shop pinned":  {"main"},
		"feature/":          {"login-form", "search"},
		"feature/ shop":     {"login-form"},
		"no such app":       nil,
		"data-find <script": nil,
	} {
		eval[string](b, `document.getElementById("query").value = ""`)
		b.do(chromedp.SendKeys("#query", query+" "))
		if got := b.shown(); !slices.Equal(got, want) {
			t.Errorf("%q shows %q, not %q", query, got, want)
		}
		if query == "feature/ shop" {
			if number := eval[string](b, `document.querySelector("[data-project] .number").textContent`); number != "1 of 2 apps" {
				t.Errorf("%q counts %q in the first project", query, number)
			}
		}
		if nothing := eval[bool](b, `document.getElementById("nothing").offsetParent !== null`); nothing != (want == nil) {
			t.Errorf("%q says that nothing was found: %v", query, nothing)
		}
		b.shoot("search-" + url.PathEscape(query))
	}
	eval[bool](b, "document.activeElement.blur(), true")
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		// KeyEvent would type it although the page takes it.
		_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Text: "/"})
		return err
	}), chromedp.KeyEvent("main"))
	said := eval[string](b, `document.getElementById("count").textContent`)
	if got := b.shown(); said != "1 of 3 apps" || !slices.Equal(got, []string{"main"}) {
		t.Errorf("after / and a name, %q is shown and %q said", got, said)
	}
}

func TestBrowser_ThePolicyAllowsWhatIsOursAndNothingElse(t *testing.T) {
	root, all := looks(t)
	b := newBrowser(t, root)
	b.open(all["index-3"], 1280, "light")
	relative := eval[string](b, `document.querySelector("time").textContent`)
	styled := eval[string](b, `getComputedStyle(document.querySelector(".badge")).borderRadius`)
	if strings.Contains(relative, "UTC") || styled != "99px" {
		t.Errorf("script or style did not work: time %q, border radius %s", relative, styled)
	}
	ran := eval[bool](b, `(() => {
		const script = document.createElement("script");
		script.textContent = "window.ran = true";
		document.body.append(script);
		return window.ran === true;
	})()`)
	if ran {
		t.Error("a script that is not ours ran")
	}
}

func TestBrowser_WithoutScriptsEverythingCanBeRead(t *testing.T) {
	root, all := looks(t)
	b := newBrowser(t, root)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.open(all["index-3"], 390, "light")
	b.shoot("index-3-no-script")
	if got := b.shown(); len(got) != 3 {
		t.Errorf("the apps are %q", got)
	}
	if eval[bool](b, `document.getElementById("query").offsetParent !== null`) {
		t.Error("there is a search that does nothing")
	}
	if text := eval[string](b, `document.querySelector("time").innerText`); text != "2026-11-21 09:00 UTC" {
		t.Errorf("a time is said as %q", text)
	}
}
