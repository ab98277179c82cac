package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// undefended skips a test of what docs/security.md says is not defended, unless
// REVIEW_EXECUTOR_TEST_OPEN is set.
func undefended(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REVIEW_EXECUTOR_TEST_OPEN") == "" {
		t.Skipf("not defended: %s (docs/security.md)", why)
	}
}

// networksStayApart skips a test of networks where netavark takes the isolation of
// all away when it removes one (1.4, with iptables).
func networksStayApart(t *testing.T) {
	t.Helper()
	podmanSince(t, 5, 0, 0, "its netavark keeps networks apart only until one of them is removed")
}

// podmanSince skips the test where Podman is older than major.minor.patch, and says why.
func podmanSince(t *testing.T, major, minor, patch int, why string) {
	t.Helper()
	version := host.Podman(t, "version", "--format", "{{.Server.Version}}")
	want := []int{major, minor, patch}
	for i, text := range strings.SplitN(strings.SplitN(version, "-", 2)[0], ".", 3) {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if n != want[i] {
			if n < want[i] && os.Getenv("REVIEW_EXECUTOR_TEST_OPEN") == "" {
				t.Skipf("not defended: Podman %s: %s (docs/security.md)", version, why)
			}
			return
		}
	}
}

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

// TestHostile_BuildMountsNoLink mounts, for a step of a build, a link to the host's
// files: one of the context, and one that an earlier stage has made.
func TestHostile_BuildMountsNoLink(t *testing.T) {
	podmanSince(t, 4, 9, 4, "its builds follow such links on the host (CVE-2024-1753)")
	for name, containerfile := range map[string]string{
		"of the context": "FROM localhost/review-demo/busybox\nRUN --mount=type=bind,rw,source=link,target=/x cat /x/Containerfile; echo x >/x/new; false\n",
		"of a stage":     "FROM localhost/review-demo/busybox AS one\nRUN ln -s DIR /link\nFROM localhost/review-demo/busybox\nRUN --mount=type=bind,rw,from=one,source=/link,target=/x cat /x/Containerfile; echo x >/x/new; false\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := bait(t)
			got := buildOf(t, strings.ReplaceAll(containerfile, "DIR", dir), "ln -s "+dir+" link").exited(t, buildFailure)
			if strings.Contains(got.stdout, "RUN echo s3cret-of-the-host") {
				t.Errorf("the build has the host's file:\n%s", got.stdout)
			}
		})
	}
}

// TestHostile_BuildCacheStaysInItsPlace asks for a cache whose name leads elsewhere.
func TestHostile_BuildCacheStaysInItsPlace(t *testing.T) {
	podmanSince(t, 5, 2, 4, "the name of a build's cache can be any directory of the host (CVE-2024-9675)")
	dir := bait(t)
	got := buildOf(t, "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=../../../../../../../../.."+dir+",target=/x cat /x/Containerfile; echo x >/x/new; false\n", "true").exited(t, buildFailure)
	if strings.Contains(got.stdout, "RUN echo s3cret-of-the-host") {
		t.Errorf("the build has the host's file:\n%s", got.stdout)
	}
}

// TestHostile_BuildCachesOfProjectsAreApart looks in one project's build for what
// another's has left in a cache of the same name.
func TestHostile_BuildCachesOfProjectsAreApart(t *testing.T) {
	undefended(t, "builds share the caches of RUN --mount=type=cache")
	p := newProject(t, map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=npm,target=/x echo poison >/x/left; false\n"})
	t.Cleanup(func() { removeBuildCaches(t) })
	p.try("main").failed(t)
	got := buildOf(t, "FROM localhost/review-demo/busybox\nRUN --mount=type=cache,id=npm,target=/x cat /x/left; false\n", "true").exited(t, buildFailure)
	if strings.Contains(got.stdout, "\npoison") {
		t.Errorf("the build has another project's cache:\n%s", got.stdout)
	}
}

// TestHostile_BuildsRootIsNobody looks at whom a build's root is on the host.
func TestHostile_BuildsRootIsNobody(t *testing.T) {
	undefended(t, "a build's root is Podman's user")
	got := buildOf(t, "FROM localhost/review-demo/busybox\nRUN cat /proc/self/uid_map; grep NoNewPrivs /proc/self/status; false\n", "true").exited(t, buildFailure)
	for _, line := range strings.Split(got.stdout, "\n") {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "0" && words[1] == strconv.Itoa(os.Getuid()) {
			t.Errorf("root in a build is user %s on the host: %s", words[1], line)
		}
		if len(words) == 2 && words[0] == "NoNewPrivs:" && words[1] != "1" {
			t.Errorf("a build may use setuid programs: %s", line)
		}
	}
}

// TestHostile_BuildsProcessesAreLimited forks in a build.
func TestHostile_BuildsProcessesAreLimited(t *testing.T) {
	undefended(t, "a build may have any number of processes")
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
	undefended(t, "a build can name any image of the store")
	jobs := newJobs(t, 2)
	image := privateImage(t, jobs)
	j := jobs[1].deploys(map[string]string{"Containerfile": "FROM " + image + "\nRUN echo the build has it; false\n"})
	if got := j.run("build_script", "true").exited(t, buildFailure); strings.Contains(got.stdout, "\nthe build has it") {
		t.Errorf("a build has an image that its project cannot pull:\n%s", got.stdout)
	}
}

// TestHostile_AfterScriptFindsRoom lets a script leave all the processes behind that
// a container may have.
func TestHostile_AfterScriptFindsRoom(t *testing.T) {
	undefended(t, "what a script leaves running takes after_script's processes")
	j := newJobs(t, 1)[0]
	j.config = limited(t)
	j.prepared()
	j.run("build_script", bomb).says(t, "Resource temporarily unavailable")
	j.run("after_script", "echo after").succeeded(t).says(t, "after")
}

// TestHostile_ForksAreKilledByCancel cancels the job whose processes are as many
// as it may have.
// TestHostile_NetworksStayApart removes one job while two others go on.
func TestHostile_NetworksStayApart(t *testing.T) {
	networksStayApart(t)
	jobs := newJobs(t, 3)
	for _, j := range jobs {
		j.prepared()
	}
	jobs[2].run("get_sources", "python3 -m http.server 9000 >/dev/null 2>&1 </dev/null & sleep 1").succeeded(t)
	victim := address(t, jobs[2].helper()) + ":9000"
	if got := jobs[2].reaches(victim); len(got) != 1 {
		t.Fatal("nobody listens")
	}
	jobs[0].stage("cleanup").succeeded(t)
	if got := jobs[1].reaches(victim); len(got) != 0 {
		t.Errorf("after the cleanup of another job it reaches %v", got)
	}
}

// TestHostile_BaseImageOfAnotherProject builds upon the image of another project's
// app, and copies from it.
func TestHostile_BaseImageOfAnotherProject(t *testing.T) {
	undefended(t, "a build can name any image of the store")
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
