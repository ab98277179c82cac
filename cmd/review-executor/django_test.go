package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

const paymentSecret = "only the provider knows"

// guestbook is examples/django in a checkout, to be deployed as its own
// .gitlab-ci.yml says.
type guestbook struct {
	project
	branch  string // and the app's name
	browser browser
	args    []string // of try
}

func newGuestbook(t *testing.T) guestbook {
	t.Helper()
	p := newProject(t, nil)
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join(hosttest.Root(), "examples", "django"))); err != nil {
		t.Fatal(err)
	}
	// Podmans of root share the files of their DNS servers, by the network's name:
	// two hosts with an app of one name would find each other's companions.
	branch := "guestbook-" + host.Port
	p.git("switch", "--quiet", "--create", branch)
	p.commit(nil)
	text, err := os.ReadFile(filepath.Join(p.dir, ".gitlab-ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var ci struct {
		Include []struct{ Inputs map[string]string }
		Job     struct {
			Services []struct{ Name, Alias string }
		} `yaml:"review-app"`
	}
	if err := yaml.Unmarshal(text, &ci); err != nil || len(ci.Include) != 1 || len(ci.Job.Services) != 1 {
		t.Fatalf("%+v, %v", ci, err)
	}
	g := guestbook{p, branch, newBrowser(t, branch), []string{"--variable", "REVIEW_ENV_PAYMENT_SECRET=" + paymentSecret}}
	for input, value := range ci.Include[0].Inputs {
		g.args = append(g.args, "--variable", "REVIEW_"+strings.ToUpper(input)+"="+value)
	}
	for _, s := range ci.Job.Services {
		g.args = append(g.args, "--service", s.Name+"="+s.Alias)
	}
	return g
}

// deploy runs the script's lines, in Python, before it deploys.
func (g guestbook) deploy(python ...string) result {
	g.t.Helper()
	args := g.args
	for _, line := range python {
		args = append(args, "--script", "python3 -c '"+line+"'")
	}
	return g.try(g.branch, args...)
}

func (g guestbook) logIn() {
	g.t.Helper()
	if status, page := g.browser.post("/login/", url.Values{"username": {"demo"}, "password": {"demo"}}); status != 200 || !strings.Contains(page, "Log out") {
		g.t.Fatalf("the login answers %d:\n%s", status, page)
	}
}

func (g guestbook) sign(message string) {
	g.t.Helper()
	g.logIn()
	if status, page := g.browser.post("/", url.Values{"message": {message}}); status != 200 {
		g.t.Fatalf("the form answers %d:\n%s", status, page)
	}
}

// pay sends a payment as the provider does: again, if it is told to.
func (g guestbook) pay(reference string) {
	g.t.Helper()
	body := fmt.Sprintf(`{"reference": %q, "cents": 1205}`, reference)
	mac := hmac.New(sha256.New, []byte(paymentSecret))
	mac.Write([]byte(body))
	eventually(g.t, "the webhook takes "+reference, func() bool {
		req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+host.Port+"/webhooks/payment", strings.NewReader(body))
		if err != nil {
			g.t.Fatal(err)
		}
		req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
		got := host.Do(g.t, req, g.branch+".review.localhost", false) // a provider has no password
		if got.Status != http.StatusAccepted && got.Status != http.StatusServiceUnavailable {
			g.t.Fatalf("the webhook answers %d: %s", got.Status, got.Body)
		}
		return got.Status == http.StatusAccepted
	})
}

func (g guestbook) shows(path string, texts ...string) {
	g.t.Helper()
	status, page := g.browser.get(path)
	for _, text := range texts {
		if status != 200 || !strings.Contains(page, text) {
			g.t.Errorf("%s answers %d and does not show %q:\n%s", path, status, text, page)
		}
	}
}

// showsSoon is for what the worker does beside the web server.
func (g guestbook) showsSoon(path, text string) {
	g.t.Helper()
	eventually(g.t, path+" shows "+text, func() bool {
		_, page := g.browser.get(path)
		return strings.Contains(page, text)
	})
}

// container is the name of the app's container with that role.
func (g guestbook) container(role string) string {
	g.t.Helper()
	return host.Podman(g.t, "ps", "--all", "--filter", "label=review-executor.role="+role, "--format", "{{.Names}}")
}

// TestExample_DjangoLogsInAndPostsItsForm goes through Apache: Host, the CSRF
// check and the forwarded headers must be right.
func TestExample_DjangoLogsInAndPostsItsForm(t *testing.T) {
	g := newGuestbook(t)
	sha := g.git("rev-parse", "HEAD")
	g.deploy().succeeded(t)

	b := g.browser
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
	g.sign("Signed by a <b>test</b>")
	g.shows("/", "Signed by a &lt;b&gt;test")
}

const (
	setMark = `import redis; redis.Redis("redis").set("mark", "left by the first job")`
	getMark = `import redis; print("mark:", redis.Redis("redis").get("mark"))`
	mark    = "mark: b'left by the first job'"
)

// TestExample_DjangoKeepsItsDataAcrossReleases is its life: a deploy, a
// redeploy, one whose migration is broken, a rollback and the end.
func TestExample_DjangoKeepsItsDataAcrossReleases(t *testing.T) {
	g := newGuestbook(t)
	g.deploy(setMark).succeeded(t).says(t, "companion  localhost/review-demo/redis is ready as", "Applying guestbook.0003_payment... OK\n", "release    command done")
	redis := g.container("companion")
	g.sign("Signed before the redeploy")
	g.pay("before-redeploy")
	g.showsSoon("/payments/", "before-redeploy: 12.05")

	base := filepath.Join("guestbook", "templates", "base.html")
	text, err := os.ReadFile(filepath.Join(g.dir, base))
	if err != nil {
		t.Fatal(err)
	}
	first := g.git("rev-parse", "HEAD")
	second := g.commit(map[string]string{base: strings.ReplaceAll(string(text), "Guestbook", "Red guestbook")})
	g.deploy(getMark).succeeded(t).says(t, mark, "No migrations to apply", "retired")
	g.shows("/", second, "Red guestbook", "Signed before the redeploy")
	g.shows("/payments/", "before-redeploy")
	if got := g.container("companion"); got != redis {
		t.Errorf("the companion was replaced: %s, then %s", redis, got)
	}

	g.commit(map[string]string{"guestbook/migrations/0004_broken.py": "from django.db import migrations\n\n\n" +
		"def fail(apps, schema_editor):\n    raise Exception(\"there is no such column\")\n\n\n" +
		"class Migration(migrations.Migration):\n    dependencies = [(\"guestbook\", \"0003_payment\")]\n    operations = [migrations.RunPython(fail)]\n"})
	g.deploy().failed(t, "Exception: there is no such column", `failed with exit code 1`, "the version of "+second[:7]+" is still serving")
	g.shows("/", second, "Signed before the redeploy")
	g.pay("after-the-failure")
	g.showsSoon("/payments/", "after-the-failure")

	runProgram(t, "rollback", g.branch).succeeded(t).says(t, "back to version "+first[:7], "Ready: ")
	g.shows("/", first, "<title>Guestbook", "Signed before the redeploy")
	g.pay("after-the-rollback")
	g.showsSoon("/payments/", "after-the-rollback")
	g.shows("/payments/", "before-redeploy", "after-the-failure")

	g.try(g.branch, "--stop").succeeded(t)
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
}

// TestExample_DjangoOutlivesItsContainers: sync brings back the app and its
// companion, on their volumes, after a crash of everything and a loss of it.
func TestExample_DjangoOutlivesItsContainers(t *testing.T) {
	g := newGuestbook(t)
	g.deploy(setMark).succeeded(t)
	g.sign("Signed before the end")
	for i, end := range [][]string{{"kill", "--all"}, {"rm", "--all", "--force", "--time", "0"}} {
		eventually(t, "podman "+end[0]+" succeeds", func() bool { // "device or resource busy", at times
			return exec.Command(filepath.Join(host.Dir, "podman"), end...).Run() == nil
		})
		runProgram(t, "sync").succeeded(t)
		reference := fmt.Sprintf("after-end-%d", i)
		g.pay(reference)
		g.showsSoon("/payments/", reference)
		g.shows("/", "Signed before the end")
	}
	if got := host.Podman(t, "exec", g.container("companion"), "redis-cli", "get", "mark"); got != "left by the first job" {
		t.Errorf("the companion's data is %q", got)
	}
}

// TestExample_DjangoEndsAsAWhole: the container with its worker, and both on SIGTERM.
func TestExample_DjangoEndsAsAWhole(t *testing.T) {
	g := newGuestbook(t)
	g.deploy().succeeded(t)
	app := g.container("app")
	restarts := func() string { return host.Podman(t, "inspect", "--format", "{{.RestartCount}}", app) }
	host.Podman(t, "exec", app, "python3", "-c", `import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{pid}/cmdline", "rb").read().endswith(b"manage.py\0worker\0"):
        os.kill(int(pid), signal.SIGKILL)`)
	eventually(t, "the container is started again", func() bool { return restarts() == "1" })
	// From inside: Podman 4.3 leaves a port of root's on the address before the restart.
	eventually(t, "it answers again", func() bool {
		return exec.Command(filepath.Join(host.Dir, "podman"), "exec", app, "python3", "-c",
			`import urllib.request; urllib.request.urlopen("http://127.0.0.1:8000/healthz")`).Run() == nil
	})

	host.Podman(t, "stop", "--time", "60", app)
	if code := host.Podman(t, "inspect", "--format", "{{.State.ExitCode}}", app); code != "0" {
		t.Errorf("after SIGTERM it ended with %s:\n%s", code, host.Podman(t, "logs", "--tail", "20", app))
	}
}

// TestExample_DjangoPassesItsTests runs them as the job "test" does.
func TestExample_DjangoPassesItsTests(t *testing.T) {
	g := newGuestbook(t)
	g.try(g.branch, "--environment", "", "--service", "localhost/review-demo/redis=redis",
		"--script", "python3 manage.py collectstatic --noinput", "--script", "python3 manage.py test",
		"--script", "python3 manage.py makemigrations --check --dry-run").succeeded(t).says(t, "No changes detected")
}
