package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
)

// buildOf deploys a checkout with this Containerfile after the script, and returns
// what came of it.
func buildOf(t *testing.T, containerfile, script string) result {
	t.Helper()
	j := newJobs(t, 1)[0]
	t.Cleanup(func() { removeBuildCaches(t) })
	j.deploys(map[string]string{"Containerfile": containerfile})
	return j.run("build_script", "cd /builds/group/shop\n"+script)
}

// removeBuildCaches removes what Podman keeps of RUN --mount=type=cache.
func removeBuildCaches(t *testing.T) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(host.Dir, "tmp", "buildah-cache*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		os.RemoveAll(dir)
	}
}

// TestHostile_BuildCacheStaysInItsPlace asks for a cache whose name leads elsewhere.
func TestHostile_BuildCacheStaysInItsPlace(t *testing.T) {
	dir := bait(t)
	got := buildOf(t, "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=../../../../../../../../.."+dir+",target=/x cat /x/Containerfile; echo x >/x/new; false\n", "true").exited(t, buildFailure)
	if strings.Contains(got.stdout, "RUN echo s3cret-of-the-host") {
		t.Errorf("the build has the host's file:\n%s", got.stdout)
	}
}

// TestHostile_BuildCachesOfProjectsAreApart looks in one project's build for what
// another's has left in a cache of the same name.
func TestHostile_BuildCachesOfProjectsAreApart(t *testing.T) {
	p := newProject(t, map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=npm,target=/x echo poison >/x/left; false\n"})
	t.Cleanup(func() { removeBuildCaches(t) })
	p.try("main").failed(t)
	got := buildOf(t, "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=npm,target=/x cat /x/left; false\n", "true").exited(t, buildFailure)
	if strings.Contains(got.stdout, "\npoison") {
		t.Errorf("the build has another project's cache:\n%s", got.stdout)
	}
}

// TestHostile_BuildsProcessesAreLimited forks in a build.
func TestHostile_BuildsProcessesAreLimited(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("without root a build has no cgroup of its own; see docs/security.md")
	}
	j := newJobs(t, 1)[0]
	j.config = limited(t)
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; echo forked $i\nRUN false\n"})
	if got := j.run("build_script", "true").exited(t, buildFailure); strings.Contains(got.stdout, "\nforked 200") {
		t.Errorf("isolation.pids is 64, and a build has 200 processes:\n%s", got.stdout)
	}
}

// TestHostile_PrivateBaseImageOfAnotherProject builds upon an image that another job
// has pulled with a password.
func TestHostile_PrivateBaseImageOfAnotherProject(t *testing.T) {
	jobs := newJobs(t, 2)
	image := privateImage(t, jobs)
	j := jobs[1].deploys(map[string]string{"Containerfile": "FROM " + image + "\nRUN echo the build has it; false\n"})
	if got := j.run("build_script", "true").exited(t, buildFailure); strings.Contains(got.stdout, "\nthe build has it") {
		t.Errorf("a build has an image that its project cannot pull:\n%s", got.stdout)
	}
}

// TestHostile_BaseImageOfAnotherProject builds upon the image of another project's
// app, and copies from it.
func TestHostile_BaseImageOfAnotherProject(t *testing.T) {
	name, id := othersApp(t)
	for what, containerfile := range map[string]string{
		"FROM":        "FROM " + name + "\nRUN cat /site/index.html; false\n",
		"FROM its ID": "FROM " + id + "\nRUN cat /site/index.html; false\n",
		"COPY --from": "FROM localhost/review-demo/busybox\nCOPY --from=" + name + " /site/index.html /\nRUN cat /index.html; false\n",
		"RUN --mount": "FROM localhost/review-demo/busybox\nRUN --mount=type=bind,from=" + name + ",target=/x cat /x/site/index.html; false\n",
	} {
		t.Run(what, func(t *testing.T) {
			j := makeJob(t)
			t.Cleanup(func() { j.stage("cleanup").succeeded(t) })
			j.deploys(map[string]string{"Containerfile": containerfile})
			if got := j.run("build_script", "true").exited(t, buildFailure); strings.Contains(got.stdout, "s3cret-of-the-other\n") {
				t.Errorf("the build reads another project's files:\n%s", got.stdout)
			}
		})
	}
}

// TestHostile_BuildFetchesNothingByTheHost has the host asked for a page that only its
// own loopback has: by ADD, and by a step in its network.
func TestHostile_BuildFetchesNothingByTheHost(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked = true
		fmt.Fprint(w, "s3cret-of-the-host")
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for name, c := range map[string][2]string{
		"ADD":                {"ADD " + server.URL + "/x /x", "from the host's own network"},
		"ADD by a variable":  {"ARG U=http:\nADD $U//" + address + "/x /x", "from the host's own network"},
		"the host's network": {"RUN --network=host wget -qO- " + server.URL, "--network=host is not possible"},
		"by a trigger":       {"ONBUILD ADD " + server.URL + "/x /x", "ONBUILD ADD cannot be checked"},
		"another step's":     {"RUN wget -T 2 -qO- " + server.URL, "does not build"},
	} {
		t.Run(name, func(t *testing.T) {
			got := buildOf(t, "FROM localhost/review-demo/busybox\n"+c[0]+"\nRUN false\n", "true").exited(t, buildFailure, c[1], "the app was not deployed before")
			if strings.Contains(got.stdout, "s3cret-of-the-host") || asked {
				t.Errorf("the build has had the host's page:\n%s", got.stdout)
			}
		})
	}
}

// TestHostile_BuildReadsNoArchiveOfTheHost names what other transports would open on
// the host.
func TestHostile_BuildReadsNoArchiveOfTheHost(t *testing.T) {
	for _, from := range []string{"dir:/var/tmp", "docker-archive:/var/tmp/x.tar", "oci:/var/tmp", "containers-storage:localhost/review-demo/busybox", "docker-daemon:busybox:latest", "/etc", "https://127.0.0.1/x.tar"} {
		t.Run(from, func(t *testing.T) {
			buildOf(t, "FROM "+from+"\nRUN true\n", "true").exited(t, buildFailure, "ERROR: ")
		})
	}
}

// TestHostile_BuildRunsNoTriggerUnseen builds upon an image that somebody has made to
// do in a build what a Containerfile may not.
func TestHostile_BuildRunsNoTriggerUnseen(t *testing.T) {
	name, _ := othersApp(t)
	for what, trigger := range map[string]string{
		"an image":     "COPY --from=" + name + " /site/index.html /",
		"a mount":      "RUN --mount=type=bind,from=" + name + ",target=/x cat /x/site/index.html",
		"a cache":      "RUN --mount=type=cache,id=8-npm,target=/x cat /x/left",
		"the host":     "ADD http://127.0.0.1:1/x /",
		"a variable":   "COPY --chown=$X x y",
		"a newline":    "RUN true \\\n && cat /x",
		"what is fine": "RUN echo triggered; false",
	} {
		t.Run(what, func(t *testing.T) {
			j := newTriggerJob(t, "FROM localhost/review-demo/busybox\nONBUILD "+trigger+"\n")
			got := j.run("build_script", "true").exited(t, buildFailure)
			if what == "what is fine" || what == "a newline" {
				got.says(t, "does not build")
			} else {
				got.says(t, "image "+j.image+" cannot be built upon", "ONBUILD "+strings.Fields(trigger)[0])
			}
			if strings.Contains(got.stdout, "s3cret-of-the-other\n") {
				t.Errorf("the build reads another project's files:\n%s", got.stdout)
			}
		})
	}
}

// newTriggerJob deploys what is built upon an image of this Containerfile.
func newTriggerJob(t *testing.T, containerfile string) *driverJob {
	t.Helper()
	j := makeJob(t)
	name := fmt.Sprintf("localhost/test/triggers-%d:1", j.id)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	host.Podman(t, "build", "--quiet", "--network", "none", "--format", "docker", "--tag", name, dir)
	forget(t, name, j)
	j.deploys(map[string]string{"Containerfile": "FROM " + name + "\nRUN false\n"})
	j.image = name
	return j
}

// TestHostile_LayersOfProjectsAreApart builds the same Containerfile in two projects,
// and in one of them twice: only there may the cache be used.
func TestHostile_LayersOfProjectsAreApart(t *testing.T) {
	files := page("the same")
	files["Containerfile"] = strings.Replace(files["Containerfile"], "COPY", "RUN echo com''piled\nCOPY", 1)
	jobs := newJobs(t, 3)
	for i, c := range []struct {
		project int64
		ran     bool
	}{{7, true}, {8, true}, {7, false}} {
		j := jobs[i]
		j.project, j.vars = c.project, []string{fmt.Sprintf("CI_PROJECT_ID=%d", c.project)}
		j.deploys(files)
		j.vars[0] = fmt.Sprintf("CI_ENVIRONMENT_NAME=review/%d", c.project)
		out := j.run("build_script", "true").succeeded(t).stdout
		if ran := strings.Contains(out, "\ncompiled\n"); ran != c.ran {
			t.Errorf("build %d, of project %d: it ran the step: %t, want %t\n%s", i, c.project, ran, c.ran, out)
		}
	}
}

// TestBuild_ImagesAreShownByTheirNames although the build gets their IDs.
func TestBuild_ImagesAreShownByTheirNames(t *testing.T) {
	buildOf(t, "ARG BASE=busybox\nFROM localhost/review-demo/$BASE AS tools\nFROM tools\nCOPY --from=localhost/review-demo/busybox /bin/sh /x\nRUN false\n", "true").
		exited(t, buildFailure, "FROM localhost/review-demo/busybox AS tools", "COPY --from=localhost/review-demo/busybox /bin/sh /x")
}

// TestBuild_PrivateBaseImageNeedsTheJobsPassword pulls it with the job's own.
func TestBuild_PrivateBaseImageNeedsTheJobsPassword(t *testing.T) {
	registry := registrytest.New(t)
	registry.Push(t, "private:1", registrytest.Image{})
	registry.Protect("user", "s3cret-password")
	image := registry.Name("private:1")
	j := newJobs(t, 1)[0].deploys(map[string]string{"Containerfile": "FROM " + image + "\nCOPY Containerfile /\nRUN false\n"})
	forget(t, image, j)
	j.response = map[string]any{"credentials": []map[string]any{{"type": "registry", "url": registry.Addr, "username": "user", "password": "s3cret-password"}}}
	j.run("build_script", "true").exited(t, buildFailure, "STEP 3/", "COPY Containerfile /")
}

// TestBuild_ImagesArePolicys refuses a base image that jobs may not run in.
func TestBuild_ImagesArePolicys(t *testing.T) {
	j := newJobs(t, 1)[0]
	j.config = hostConfig(t, "\n[policy]\nimages = [\"localhost/review-demo/debian\"]\n")
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\n"})
	j.run("build_script", "true").exited(t, buildFailure, "image localhost/review-demo/busybox may not be used on this host", "policy.images")
}

// TestBuild_ThatTakesTooLongEnds together with its processes.
func TestBuild_ThatTakesTooLongEnds(t *testing.T) {
	j := newJobs(t, 1)[0]
	j.config = hostConfig(t, "\n[limits]\nbuild_timeout = \"2s\"\n")
	word := fmt.Sprintf("%d98765", j.id)
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN echo be''gun; sleep " + word + "\n"})
	j.run("build_script", "true").exited(t, buildFailure, "begun", "Containerfile was not built within 2s", "limits.build_timeout", "the app was not deployed before")
	endedWithTheBuild(t, word)
}

// TestBuild_ThatIsCancelledEnds together with its processes.
func TestBuild_ThatIsCancelledEnds(t *testing.T) {
	j := newJobs(t, 1)[0]
	word := fmt.Sprintf("%d98766", j.id)
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN echo be''gun; trap '' TERM; (sleep " + word + ") & sleep " + word + "\n"})
	j.startRun("build_script", "true").saying("begun").signal(syscall.SIGTERM).wait().exited(t, systemFailure, "was cancelled")
	endedWithTheBuild(t, word)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// endedWithTheBuild fails the test if anything of a build is left.
func endedWithTheBuild(t *testing.T, word string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Cleanup(func() { kill(running(t, word)) })
		t.Skip("only root's builds have a cgroup of ours (docs/security.md)")
	}
	if pids := running(t, word); len(pids) > 0 {
		t.Errorf("processes %v of the build go on", pids)
		kill(pids)
	}
	if left := host.Podman(t, "ps", "--all", "--external", "--format", "{{.Names}}"); strings.Contains(left, "working-container") {
		t.Errorf("working containers are left: %s", left)
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/review-build-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		// One of a process that runs may be another test's.
		if pid := strings.Split(filepath.Base(group), "-")[2]; !exists("/proc/" + pid) {
			t.Errorf("%s is left", group)
		}
	}
}
