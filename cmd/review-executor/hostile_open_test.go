package main

import (
	"os"
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
