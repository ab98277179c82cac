package apache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

var host *hosttest.Host

func TestMain(m *testing.M) { hosttest.Main(m, &host, func() {}) }

const domain = "review.localhost"

// renders is what the front renders with.
func renders(t testing.TB, f *Front) renderer {
	t.Helper()
	r, err := f.newRenderer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// testConfig is the configuration of the test's Apache.
func testConfig() Config {
	cfg := Defaults()
	cfg.VhostDir = filepath.Join(host.Dir, "vhosts")
	cfg.Listen = "127.0.0.1:" + host.Port
	cfg.Htpasswd = filepath.Join(host.Dir, "htpasswd")
	cfg.AccessLog = filepath.Join(host.Dir, "access.log")
	cfg.Configtest = []string{filepath.Join(host.Dir, "apache.sh"), "-t"}
	cfg.Reload = Reload{Command: []string{filepath.Join(host.Dir, "apache.sh"), "-k", "graceful"}}
	return cfg
}

// sites is the directory of the static sites.
func sites() string { return filepath.Join(host.Dir, "state", "sites") }

func newTestFront(cfg Config) *Front { return New(cfg, domain, sites(), nil) }

// newFront is a front of the test's Apache that serves nothing again after the
// test.
func newFront(t testing.TB, cfg Config) *Front {
	t.Helper()
	if problems := cfg.Problems(); len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		if _, err := newTestFront(testConfig()).Apply(context.Background(), nil, nil); err != nil {
			t.Error(err)
		}
	})
	return newTestFront(cfg)
}

var releases atomic.Int64

// release is another one each time: a process of Apache's that is about to end may
// still answer for the test before.
func release(name string) string { return fmt.Sprintf("r%d-%s", releases.Add(1), name) }

// app starts a backend that answers with text and what it got.
func app(t testing.TB, name, text string) review.Site {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s\nhost %s\nuri %s\n", text, r.Host, r.RequestURI)
		for _, name := range []string{"Authorization", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Proxy", "Cookie"} {
			if value := r.Header.Get(name); value != "" {
				fmt.Fprintf(w, "%s: %s\n", name, value)
			}
		}
	}))
	t.Cleanup(server.Close)
	return review.Site{Name: name, Host: name + "." + domain, Release: release(name), Backend: server.Listener.Addr().String()}
}

// apply makes the front serve the sites, all of them, and waits until it does.
func apply(t testing.TB, f *Front, sites ...review.Site) {
	t.Helper()
	refused, err := f.Apply(context.Background(), sites, nil)
	if err != nil || len(refused) > 0 {
		t.Fatalf("refused %v, error %v", refused, err)
	}
	for _, site := range sites {
		if err := f.Serves(context.Background(), site); err != nil {
			t.Fatal(err)
		}
	}
}

func expect(t testing.TB, name string, status int, text string) {
	t.Helper()
	got := host.Get(t, name+"."+domain, "/", true)
	if got.Status != status || !strings.Contains(got.Body, text) {
		t.Errorf("%s answers %d %q, want %d %q", name, got.Status, got.Body, status, text)
	}
}

func TestApply_ServesExactlyTheSites(t *testing.T) {
	f := newFront(t, testConfig())
	login, cart := app(t, "login", "the login form"), app(t, "cart", "the cart")
	apply(t, f, login, cart)
	expect(t, "login", 200, "the login form")
	expect(t, "cart", 200, "the cart")
	expect(t, "other", 404, "No review app")

	apply(t, f, cart)
	eventually(t, func() bool { return host.Get(t, "login."+domain, "/", true).Status == 404 })
	expect(t, "cart", 200, "the cart")
}

// eventually waits for Apache to have taken a change that nothing announces.
func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for range 100 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("it never came to be")
}

func TestApply_UnchangedSitesCauseNoReload(t *testing.T) {
	cfg := testConfig()
	marker := filepath.Join(t.TempDir(), "reloaded")
	cfg.Reload.Command = []string{"sh", "-c", `echo >>"$1"; exec "$2" -k graceful`, "sh", marker, filepath.Join(host.Dir, "apache.sh")}
	f := newFront(t, cfg)
	site := app(t, "login", "the login form")
	apply(t, f, site)
	apply(t, f, site)
	if reloads, _ := os.ReadFile(marker); len(reloads) != 1 {
		t.Errorf("%d reloads, want 1", len(reloads))
	}
}

func TestApply_ReloadIsMadeUpForAfterAKill(t *testing.T) {
	site := app(t, "login", "the login form")
	killed := testConfig()
	killed.Reload.Command = []string{"false"}
	f := newFront(t, testConfig())
	if _, err := newTestFront(killed).Apply(context.Background(), []review.Site{site}, nil); err == nil {
		t.Fatal("a reload that fails is no error")
	}
	// As if the process had died before it could take the file back.
	vhost, err := renders(t, f).renderSite(site)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed.VhostDir, siteFile(site.Name)), vhost, 0o644); err != nil {
		t.Fatal(err)
	}
	apply(t, f, site)
	expect(t, "login", 200, "the login form")
}

func TestApply_FailedReloadRestoresTheFiles(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the first"))
	before, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Reload.Command = []string{"sh", "-c", "echo no permission; exit 4"}
	_, err = newTestFront(cfg).Apply(context.Background(), []review.Site{app(t, "login", "the second"), app(t, "new", "new")}, nil)
	if err == nil || !strings.Contains(review.AsFailure(err).Text(), "no permission") {
		t.Errorf("error %v", err)
	}
	after, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(difference(before, after)) > 0 {
		t.Errorf("files changed: %v", difference(before, after))
	}
}

func TestApply_InvalidSiteDoesNotStopTheOthers(t *testing.T) {
	f := newFront(t, testConfig())
	good, bad := app(t, "good", "the good"), app(t, "bad", "the bad")
	apply(t, f, bad)
	bad.Release = "r1\"\n</VirtualHost>"
	refused, err := f.Apply(context.Background(), []review.Site{bad, good}, nil)
	if err != nil || refused["bad"] == nil || len(refused) != 1 {
		t.Fatalf("refused %v, error %v", refused, err)
	}
	if err := f.Serves(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	expect(t, "good", 200, "the good")
	expect(t, "bad", 200, "the bad") // as it was before
}

// TestApply_SiteThatApacheRefusesDoesNotStopTheOthers lets configtest refuse
// one file, as Apache would if a value had slipped through our own checks.
func TestApply_SiteThatApacheRefusesDoesNotStopTheOthers(t *testing.T) {
	cfg := testConfig()
	cfg.Configtest = []string{"sh", "-c", `
		file=$(grep -l "X-Review-Release \"poison" "$1"/*.conf | head -n 1)
		[ -z "$file" ] || { printf 'AH00526: Syntax error on line 7 of %s:\nInvalid command\n' "$file"; exit 1; }
		exec "$2" -t`, "sh", cfg.VhostDir, filepath.Join(host.Dir, "apache.sh")}
	f := newFront(t, cfg)
	old := app(t, "old", "as before")
	apply(t, f, old)

	poisoned := app(t, "old", "never seen")
	poisoned.Release = "poison-1"
	fresh := app(t, "fresh", "never seen")
	fresh.Release = "poison-2"
	good := app(t, "good", "the good")
	refused, err := f.Apply(context.Background(), []review.Site{poisoned, fresh, good}, nil)
	if err != nil || len(refused) != 2 || !strings.Contains(refused["old"].Error(), "Invalid command") {
		t.Fatalf("refused %v, error %v", refused, err)
	}
	if err := f.Serves(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	expect(t, "good", 200, "the good")
	expect(t, "old", 200, "as before")
	expect(t, "fresh", 404, "")
}

func TestApply_ErrorOfSomebodyElseIsToldApartAndChangesNothing(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the login form"))
	foreign := filepath.Join(host.Dir, "vhosts", "mine.conf")
	if err := os.WriteFile(foreign, []byte("Nonsense on\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(foreign)
	_, err := f.Apply(context.Background(), []review.Site{app(t, "cart", "the cart")}, nil)
	if err == nil {
		t.Fatal("Apache's broken configuration is no error")
	}
	text := review.AsFailure(err).Text()
	for _, want := range []string{"not because of this app", "Nonsense", "mine.conf", "previous configuration is still serving"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("somebody else's file: %v", err)
	}
	expect(t, "login", 200, "the login form")
}

func TestApply_KeepsAsItIs(t *testing.T) {
	f := newFront(t, testConfig())
	kept := app(t, "kept", "kept")
	apply(t, f, kept)
	if _, err := f.Apply(context.Background(), nil, []string{"kept", "never-there"}); err != nil {
		t.Fatal(err)
	}
	expect(t, "kept", 200, "kept")
}

func TestApply_LeavesFilesOfOthersAlone(t *testing.T) {
	f := newFront(t, testConfig())
	theirs := filepath.Join(host.Dir, "vhosts", "theirs.conf")
	if err := os.WriteFile(theirs, []byte("# theirs\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(theirs)
	apply(t, f, app(t, "login", "the login form"))
	if data, err := os.ReadFile(theirs); err != nil || string(data) != "# theirs\n" {
		t.Errorf("their file is %q, %v", data, err)
	}
}

func TestServes_SaysWhoAnswersInstead(t *testing.T) {
	f := newFront(t, testConfig())
	site := app(t, "login", "the login form")
	apply(t, f, site)
	site.Release = "another"
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := f.Serves(ctx, site)
	if err == nil || !strings.Contains(err.Error(), "does not serve login.review.localhost") {
		t.Errorf("error %v", err)
	}
}

func TestServes_SaysThatApacheHasNoProcessLeft(t *testing.T) {
	listener := listen(t, "127.0.0.1:0") // takes connections and answers none
	cfg := testConfig()
	cfg.Listen = listener.Addr().String()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := newTestFront(cfg).Serves(ctx, review.Site{Name: "login", Host: "login." + domain, Release: "r1"})
	if err == nil || !strings.Contains(review.AsFailure(err).Text(), "raise its ServerLimit") {
		t.Errorf("error %v", err)
	}
}

func TestServes_UnreadablePasswordsAreToldBeforeAnyVisitorMeetsThem(t *testing.T) {
	cfg := testConfig()
	cfg.Htpasswd = filepath.Join(host.Dir, "no-htpasswd")
	f := newFront(t, cfg)
	site := app(t, "login", "the login form")
	if _, err := f.Apply(context.Background(), []review.Site{site}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := f.Serves(ctx, site); err == nil || !strings.Contains(err.Error(), "must be able to read apache.htpasswd") {
		t.Errorf("error %v", err)
	}
}

func TestVhost_AppCannotUndoOurHeaders(t *testing.T) {
	f := newFront(t, testConfig())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Robots-Tag", "all")
		w.Header().Set("X-Review-Release", "another")
	}))
	defer server.Close()
	apply(t, f, review.Site{Name: "vain", Host: "vain." + domain, Release: "r1", Backend: server.Listener.Addr().String()})
	got := host.Get(t, "vain."+domain, "/", true)
	if robots := got.Header.Values("X-Robots-Tag"); len(robots) != 1 || robots[0] != "noindex, nofollow" {
		t.Errorf("X-Robots-Tag %q", robots)
	}
	if release := got.Header.Values("X-Review-Release"); len(release) != 1 || release[0] != "r1" {
		t.Errorf("X-Review-Release %q", release)
	}
}

func TestDrain_WaitsForTheRequestsUnderWay(t *testing.T) {
	f := newFront(t, testConfig())
	release, begun := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	defer server.Close()
	site := review.Site{Name: "slow", Host: "slow." + domain, Release: "r1", Backend: server.Listener.Addr().String()}
	apply(t, f, site)

	answer := make(chan hosttest.Answer, 1)
	go func() { answer <- host.Get(t, "slow."+domain, "/", true) }()
	<-begun
	drained := make(chan struct{})
	go func() {
		f.Drain(context.Background(), site.Backend)
		close(drained)
	}()
	select {
	case <-drained:
		t.Fatal("drained while a request was under way")
	case <-time.After(20 * lookEvery):
	}
	close(release)
	if got := <-answer; got.Body != "finished" {
		t.Errorf("the request got %d %q", got.Status, got.Body)
	}
	apply(t, f) // a child that still holds a connection for reuse lets go of it
	<-drained

	limited, cancel := context.WithCancel(context.Background())
	cancel()
	f.Drain(limited, site.Backend)
}
