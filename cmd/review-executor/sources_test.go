package main

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
)

// TestImage_PrebuiltOneIsPulledWithTheJobsCredentialsAndGoesWithTheApp.
func TestImage_PrebuiltOneIsPulledWithTheJobsCredentialsAndGoesWithTheApp(t *testing.T) {
	registry := registrytest.New(t)
	registry.Push(t, "group/shop/app:main", registrytest.Image{})
	registry.Protect("gitlab-ci-token", "s3cret")
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.vars = append(j.vars, "REVIEW_IMAGE="+registry.Name("group/shop/app:main"), "REVIEW_PORT=8080",
		`REVIEW_COMMAND=["sh", "-c", "mkdir -p /site; echo prebuilt >/site/index.html; trap exit TERM; httpd -f -p 8080 -h /site & wait"]`)
	j.prepared()
	j.run("build_script", "true").exited(t, buildFailure, "group/shop/app:main")

	j = j.another().deploying()
	j.response = object{"credentials": []object{{"type": "registry", "url": registry.Addr, "username": "gitlab-ci-token", "password": "s3cret"}}}
	j.vars = append(j.vars, "REVIEW_IMAGE="+registry.Name("group/shop/app:main"), "REVIEW_PORT=8080",
		`REVIEW_COMMAND=["sh", "-c", "mkdir -p /site; echo prebuilt >/site/index.html; trap exit TERM; httpd -f -p 8080 -h /site & wait"]`)
	j.prepared()
	got := j.run("build_script", "true").succeeded(t).says(t, "image      "+registry.Name("group/shop/app:main")+", pulled in")
	if strings.Contains(got.stdout, "STEP") {
		t.Errorf("it tells of a build:\n%s", got.stdout)
	}
	if got := host.Get(t, "login.review.localhost", "/", true); got.Body != "prebuilt\n" {
		t.Errorf("it serves %d %q", got.Status, got.Body)
	}
	if names := host.Podman(t, "images", "--format", "{{.Repository}}"); strings.Contains(names, "group/shop/app") {
		t.Errorf("the pulled image has still its name:\n%s", names)
	}
	host.Podman(t, "stop", "--all", "--time", "0")
	runProgram(t, "sync").succeeded(t).says(t, "login: started again")
	runProgram(t, "stop", "login").succeeded(t)
	j.cleaned()
	if left := host.Podman(t, "images", "--all", "--quiet", "--filter", "readonly=false"); left != "" {
		t.Errorf("there are still images: %s", left)
	}
}

func TestStatic_IsServedByApacheAndSwitched(t *testing.T) {
	p := newProject(t, map[string]string{"README": "a site"})
	build := func(text string) []string {
		return []string{
			"--variable", "REVIEW_STATIC=public",
			"--script", "mkdir -p public/assets && echo '" + text + "' >public/index.html && echo 'body{}' >public/assets/site.css && ln -s index.html public/latest.html",
		}
	}
	p.try("main", build("the first")...).succeeded(t).says(t, "files      2 of public, copied in")
	get := func(path string) string { return host.Get(t, "main.review.localhost", path, true).Body }
	if got := get("/"); got != "the first\n" {
		t.Fatalf("it serves %q", got)
	}
	if got := get("/latest.html"); got != "the first\n" {
		t.Errorf("a link within it serves %q", got)
	}
	if got := host.Get(t, "main.review.localhost", "/assets/site.css", true); got.Status != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/css") {
		t.Errorf("a style sheet: %d %v", got.Status, got.Header)
	}
	if got := host.Get(t, "main.review.localhost", "/", false); got.Status != 401 {
		t.Errorf("without the password: %d", got.Status)
	}
	if left := host.Podman(t, "ps", "--all", "--quiet"); left != "" {
		t.Errorf("there are containers: %s", left)
	}
	p.try("main", build("the second")...).succeeded(t)
	if got := get("/"); got != "the second\n" {
		t.Errorf("after a redeploy it serves %q", got)
	}
	runProgram(t, "rollback", "main").succeeded(t)
	if got := get("/"); got != "the first\n" {
		t.Errorf("after a rollback it serves %q", got)
	}
	p.try("main", "--variable", "REVIEW_STATIC=public", "--script", "mkdir public && ln -s /etc/passwd public/index.html").
		failed(t, `index.html in "public" is a symbolic link that leaves it`, "is still serving")
	if got := get("/"); got != "the first\n" {
		t.Errorf("after a refused deploy it serves %q", got)
	}
}
