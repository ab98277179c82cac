package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page is a web project whose only page shows what text says.
func page(text string) map[string]string {
	return map[string]string{
		"Containerfile": "FROM localhost/review-demo/busybox\nCOPY index.html /site/\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n" +
			`CMD ["sh", "-c", "echo commit $REVIEW_SHA >>/site/index.html; exec httpd -f -p 8080 -h /site"]` + "\n",
		"index.html": text + "\n",
	}
}

func TestTry_BranchesAreServedBehindThePassword(t *testing.T) {
	p := newProject(t, page("main"))
	p.git("switch", "--quiet", "--create", "feature/login")
	login := p.commit(page("the login form"))
	p.git("switch", "--quiet", "--create", "cart", "main")
	cart := p.commit(page("the cart"))

	log := p.try("feature/login").succeeded(t)
	log.says(t, "Deploying review app feature-login", "health     GET / answered 200", "Ready: http://feature-login.review.localhost:"+host.Port)
	p.try("cart").succeeded(t)

	refused := host.Get(t, "feature-login.review.localhost", "/", false)
	if refused.Status != 401 || strings.Contains(refused.Body, "the login form") {
		t.Errorf("without the password: %d %q", refused.Status, refused.Body)
	}
	if got := refused.Header.Get("X-Robots-Tag"); got != "noindex, nofollow" {
		t.Errorf("X-Robots-Tag of the refusal is %q", got)
	}
	for app, want := range map[string][]string{"feature-login": {"the login form", login}, "cart": {"the cart", cart}} {
		got := host.Get(t, app+".review.localhost", "/", true)
		for _, text := range want {
			if got.Status != 200 || !strings.Contains(got.Body, text) {
				t.Errorf("%s answers %d %q, want %q", app, got.Status, got.Body, text)
			}
		}
		if got.Header.Get("X-Robots-Tag") != "noindex, nofollow" {
			t.Errorf("%s lacks X-Robots-Tag", app)
		}
	}
	for _, unknown := range []string{"nothing.review.localhost", "example.org", "127.0.0.1"} {
		if got := host.Get(t, unknown, "/", true); got.Status != 404 {
			t.Errorf("%s answers %d, want 404", unknown, got.Status)
		}
	}
}

func TestTry_PushReplacesTheReleaseAndLeavesOneContainer(t *testing.T) {
	p := newProject(t, page("first"))
	p.try("main").succeeded(t)
	second := p.commit(page("second"))
	p.try("main").succeeded(t).says(t, "retired    version")

	if got := host.Get(t, "main.review.localhost", "/", true); !strings.Contains(got.Body, second) {
		t.Errorf("serving %q, want commit %s", got.Body, second)
	}
	running := host.Podman(t, "ps", "--all", "--filter", "label=review-executor.app=main", "--format", "{{.Names}}")
	if strings.Count(running, "\n") != 0 {
		t.Errorf("containers of the app:\n%s", running)
	}
	images := host.Podman(t, "images", "--filter", "reference=localhost/review/main", "--format", "{{.Tag}}")
	if strings.Count(images, "\n") != 1 { // the one that serves and the one before
		t.Errorf("images of the app:\n%s", images)
	}
}

func TestTry_StopLeavesNothing(t *testing.T) {
	p := newProject(t, page("soon gone"))
	p.git("branch", "feature/login")
	p.try("feature/login").succeeded(t)
	p.git("branch", "--delete", "--force", "feature/login")

	p.try("feature/login", "--stop").succeeded(t).says(t, "Stopped review app feature-login")
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
	if got := host.Get(t, "feature-login.review.localhost", "/", true); got.Status != 404 {
		t.Errorf("the stopped app's host answers %d, want 404", got.Status)
	}
	p.try("feature/login", "--stop").succeeded(t).says(t, "was not running") // GitLab runs on_stop jobs twice
}

func TestStop_ByHandRemovesTheApp(t *testing.T) {
	p := newProject(t, page("soon gone"))
	p.try("main").succeeded(t)
	runProgram(t, "stop", "main", "--dry-run").succeeded(t).says(t, "Would stop review app main")
	if got := host.Get(t, "main.review.localhost", "/", true); got.Status != 200 {
		t.Errorf("after a dry run it answers %d", got.Status)
	}
	runProgram(t, "stop", "main").succeeded(t)
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
	runProgram(t, "stop", "main").failed(t, `there is no review app "main"`)
}

func TestStop_FinishesAStopThatWasKilled(t *testing.T) {
	p := newProject(t, page("half gone"))
	p.try("main").succeeded(t)
	if err := os.Remove(filepath.Join(host.Dir, "state", "apps", "main.json")); err != nil {
		t.Fatal(err)
	}
	runProgram(t, "stop", "main").succeeded(t)
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
}

func TestTry_SecondProjectIsRefusedTheHostAndToldWhoseItIs(t *testing.T) {
	first, second := newProject(t, page("first")), newProject(t, page("second"))
	first.try("main").succeeded(t)
	second.try("main").failed(t, "main.review.localhost already serves local/shop", `branch "main"`, "nothing was changed")
	second.try("main", "--stop").failed(t, "already serves local/shop")
	if got := host.Get(t, "main.review.localhost", "/", true); !strings.Contains(got.Body, "first") {
		t.Errorf("it serves %q", got.Body)
	}
}

func TestTry_HostileBranchNames(t *testing.T) {
	p := newProject(t, page("hostile"))
	p.try(`feature/Ünï-"q"; reload`).failed(t, "is not a name that git allows")

	const branch = `feature/Ünï-"q";reload` // git allows it
	p.git("branch", branch)
	p.try(branch).succeeded(t)
	apps := appNames(t)
	if len(apps) != 1 || !strings.HasPrefix(apps[0], "feature-n-q-reload-") {
		t.Fatalf("apps %v", apps)
	}
	if got := host.Get(t, apps[0]+".review.localhost", "/", true); got.Status != 200 {
		t.Errorf("it answers %d", got.Status)
	}
	vhost, err := os.ReadFile(filepath.Join(host.Dir, "vhosts", "app-"+apps[0]+".conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Ünï", `"q"`, ";reload"} {
		if strings.Contains(string(vhost), text) {
			t.Errorf("%q is in the virtual host:\n%s", text, vhost)
		}
	}
}

func TestTry_HostileEnvironmentNames(t *testing.T) {
	p := newProject(t, page("hostile"))
	for name, want := range map[string]string{
		"review/\"\nServerName x":            "GitLab does not allow",
		"review/a\"b":                        "GitLab does not allow",
		"review/%{ENV:x}":                    "GitLab does not allow",
		"review/../../etc":                   `has a ".." between slashes`,
		"review/" + strings.Repeat("x", 300): "more than GitLab's 255",
	} {
		p.try("main", "--environment", name).failed(t, want, "nothing was changed")
	}
	long := "review/" + strings.Repeat("long-", 30) + "name"
	p.try("main", "--environment", long).succeeded(t)
	if apps := appNames(t); len(apps) != 1 || len(apps[0]) > 63 {
		t.Errorf("apps %v", apps)
	}
}

func TestTry_SettingsReachTheApp(t *testing.T) {
	p := newProject(t, map[string]string{
		"web/docker/Containerfile.web": "FROM localhost/review-demo/busybox AS base\nCOPY . /site\nFROM base AS wanted\nRUN echo wanted >/site/stage\n" +
			"CMD [\"sh\", \"-c\", \"env >/site/env; exec httpd -f -p $PORT -h /site\"]\nSTOPSIGNAL SIGKILL\nFROM base AS other\nCMD [\"false\"]\n",
		"web/index.html": "the page\n",
		"secret":         "not in the context\n",
	})
	p.try("main",
		"--variable", "REVIEW_CONTEXT=web", "--variable", "REVIEW_CONTAINERFILE=docker/Containerfile.web", "--variable", "REVIEW_BUILD_TARGET=wanted",
		"--variable", "REVIEW_PORT=9000", "--variable", "REVIEW_HEALTH_PATH=/stage", "--variable", "REVIEW_ENV_GREETING=hello $world", "--variable", "REVIEW_HELTH_PATH=/",
	).succeeded(t).says(t, "GET /stage answered 200", "REVIEW_HELTH_PATH means nothing")
	env := host.Get(t, "main.review.localhost", "/env", true).Body
	for _, want := range []string{"GREETING=hello $world\n", "PORT=9000\n", "REVIEW_HOST=main.review.localhost\n", "REVIEW_URL=http://main.review.localhost:" + host.Port + "\n", "REVIEW_REF=main\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("the app's environment lacks %q:\n%s", want, env)
		}
	}
	for _, path := range []string{"/secret", "/.git/config"} {
		if got := host.Get(t, "main.review.localhost", path, true); got.Status != http.StatusNotFound {
			t.Errorf("%s is in the build context", path)
		}
	}
}

func TestTry_ScriptRunsBeforeTheBuild(t *testing.T) {
	p := newProject(t, page("before"))
	p.try("main", "--script", "echo generated on $CI_COMMIT_BRANCH >index.html", "--script", "git status --short").
		succeeded(t).says(t, " M index.html")
	if got := host.Get(t, "main.review.localhost", "/", true); !strings.Contains(got.Body, "generated on main") {
		t.Errorf("it serves %q", got.Body)
	}
}

func TestTry_ImageHealthCheckDecides(t *testing.T) {
	files := page("checked")
	files["Containerfile"] += "HEALTHCHECK CMD test -e /site/index.html\n"
	p := newProject(t, files)
	p.try("main").succeeded(t).says(t, "the image's health check passed")

	files["Containerfile"] = strings.Replace(files["Containerfile"], "test -e /site/index.html", "echo no database; false", 1)
	p.commit(files)
	p.try("main", "--variable", "REVIEW_HEALTH_TIMEOUT=2").failed(t, "was not healthy within 2s", "no database", "is still serving")
}

func TestTry_OrdinaryJobDeploysNothing(t *testing.T) {
	p := newProject(t, page("ordinary"))
	log := p.try("main", "--environment", "production").succeeded(t)
	if strings.Contains(log.stdout, "Deploying") || len(appNames(t)) != 0 {
		t.Errorf("it deployed:\n%s", log.stdout)
	}
}
