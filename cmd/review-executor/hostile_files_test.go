package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// bait is a directory of the host with a file in it. The test fails if it is
// another one in the end.
func bait(t *testing.T) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "review-bait")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	const text = "FROM localhost/review-demo/busybox\nRUN echo s3cret-of-the-host; false\n"
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("the host's directory holds %v (%v)", entries, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "Containerfile")); err != nil || string(got) != text {
			t.Errorf("the host's file is %q (%v)", got, err)
		}
	})
	return dir
}

// TestHostile_ReportIsNotWrittenThroughLinks deploys with review.env, or a
// directory above it, being a link to the host's files.
func TestHostile_ReportIsNotWrittenThroughLinks(t *testing.T) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"a file of the host":          "ln -s DIR/Containerfile review.env",
		"a file by climbing":          "ln -s ../../../../../../../../../../../../..DIR/Containerfile review.env",
		"a file of every system":      "ln -s /etc/passwd review.env",
		"a new file of the host":      "ln -s DIR/new review.env",
		"the directory":               "cd ..; mv shop real; ln -s DIR shop; mkdir -p DIR; cp -r real/. DIR",
		"the directory by climbing":   "cd ..; mv shop real; ln -s ../../../../../../../../../../..DIR shop; mkdir -p DIR; cp -r real/. DIR",
		"a pipe":                      "mkfifo review.env",
		"a directory of its name":     "mkdir -p review.env/x",
		"a file of Podman's own":      "ln -s /run/.containerenv review.env",
		"a hard link to another file": "ln index.html review.env",
	} {
		t.Run(name, func(t *testing.T) {
			dir := bait(t)
			j := newJobs(t, 1)[0].deploys(page("linked"))
			r := j.run("build_script", "cd /builds/group/shop\n"+strings.ReplaceAll(script, "DIR", dir))
			printable(t, r.stderr)
			t.Logf("exit code %d, %s", r.code, r.stderr)
			if now, err := os.ReadFile("/etc/passwd"); err != nil || string(now) != string(passwd) {
				t.Errorf("/etc/passwd of the host is %q (%v)", now, err)
			}
		})
	}
}

// TestHostile_BuildReadsNoFileOfTheHost deploys checkouts whose parts are links
// to the host's files: nothing of them may be built or served.
func TestHostile_BuildReadsNoFileOfTheHost(t *testing.T) {
	for name, c := range map[string]struct {
		script    string
		variables []string
	}{
		"the Containerfile":        {"ln -sf DIR/Containerfile Containerfile", nil},
		"the context":              {"ln -s DIR link", []string{"REVIEW_CONTEXT=link"}},
		"a context below a link":   {"ln -s / link", []string{"REVIEW_CONTEXT=link/var/tmp/BASE"}},
		"the project":              {"cd ..; rm -r shop; ln -s DIR shop", nil},
		"the project by climbing":  {"cd ..; rm -r shop; ln -s ../../../../../../../../../../..DIR shop", nil},
		"what is copied":           {"ln -sf DIR/Containerfile index.html", nil},
		"a directory to copy":      {"ln -s DIR files; printf 'FROM localhost/review-demo/busybox\\nCOPY files/Containerfile /\\nRUN cat /Containerfile; false\\n' >Containerfile", nil},
		"an absolute name to copy": {"printf 'FROM localhost/review-demo/busybox\\nCOPY DIR/Containerfile /\\nRUN cat /Containerfile; false\\n' >Containerfile", nil},
		"a name above to copy":     {"printf 'FROM localhost/review-demo/busybox\\nCOPY ../../../../../../../../..DIR/Containerfile /\\nRUN cat /Containerfile; false\\n' >Containerfile", nil},
		"a mount":                  {"printf 'FROM localhost/review-demo/busybox\\nRUN --mount=type=bind,source=DIR,target=/x cat /x/Containerfile; false\\n' >Containerfile", nil},
		"a mount above":            {"printf 'FROM localhost/review-demo/busybox\\nRUN --mount=type=bind,source=../../../../../../../../..DIR,target=/x cat /x/Containerfile; false\\n' >Containerfile", nil},
		"a secret":                 {"printf 'FROM localhost/review-demo/busybox\\nRUN --mount=type=secret,id=x,src=DIR/Containerfile cat /run/secrets/x; false\\n' >Containerfile", nil},
		"the ignore file":          {"ln -s DIR/Containerfile .dockerignore", nil},
		"another stage's link":     {"printf 'FROM localhost/review-demo/busybox AS one\\nRUN ln -s DIR /files\\nFROM localhost/review-demo/busybox\\nCOPY --from=one /files/Containerfile /\\nRUN cat /Containerfile; false\\n' >Containerfile", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bait(t)
			j := newJobs(t, 1)[0].deploys(page("linked"))
			replace := strings.NewReplacer("DIR", dir, "BASE", filepath.Base(dir))
			for _, v := range c.variables {
				j.vars = append(j.vars, replace.Replace(v))
			}
			r := j.run("build_script", "cd /builds/group/shop\n"+replace.Replace(c.script))
			if r.code != buildFailure || strings.Contains(strings.ReplaceAll(r.stdout+r.stderr, "echo s3cret", ""), "s3cret-of-the-host") || strings.Contains(r.stdout, "RUN echo s3cret") {
				t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			t.Logf("%s", r.stderr)
		})
	}
}

// TestHostile_BuildHasTheContainersCapabilities looks at what a step of a build may do.
func TestHostile_BuildHasTheContainersCapabilities(t *testing.T) {
	j := newJobs(t, 1)[0].deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN grep -E 'CapBnd|Seccomp:' /proc/self/status; if mknod /disk b 254 0; then echo a device; fi; false\n"})
	got := j.run("build_script", "true").exited(t, buildFailure, "CapBnd:\t00000000000004fb", "Seccomp:\t2")
	if strings.Contains(got.stdout, "\na device") {
		t.Errorf("a build makes devices:\n%s", got.stdout)
	}
}

// TestHostile_BuildTakesAllMemory fills it in a step of a build.
func TestHostile_BuildTakesAllMemory(t *testing.T) {
	j := newJobs(t, 1)[0]
	j.config = limited(t)
	j.deploys(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN head -c 268435456 /dev/zero | tail -c 268435456 | wc -c; false\n"})
	if got := j.run("build_script", "true").exited(t, buildFailure); strings.Contains(got.stdout, "\n268435456") {
		t.Errorf("isolation.memory is 64 MiB, and a build has 256:\n%s", got.stdout)
	}
}

// TestHostile_GitOfTheJobRunsNothingOnTheHost plants everything by which git can be
// made to run a program, and deploys: the host runs no git, and the image gets none.
func TestHostile_GitOfTheJobRunsNothingOnTheHost(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	files := page("planted")
	files["Containerfile"] = "FROM localhost/review-demo/busybox\nCOPY . /site\nRUN if ls -a /site | grep -x .git; then false; fi\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/site\"]\n"
	j := newJobs(t, 1)[0]
	j.vars = append(j.vars, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=touch "+marker, "GIT_DIR=/builds/group/shop/.git", "GIT_SSH_COMMAND=touch "+marker)
	j.deploys(files)
	j.run("get_sources", "cd /builds/group/shop; git init --quiet; for key in core.fsmonitor core.sshCommand core.hooksPath core.pager core.editor diff.external filter.x.clean credential.helper; do git config $key 'touch "+marker+"'; done; for hook in post-checkout pre-commit post-index-change; do printf '#!/bin/sh\\ntouch "+marker+"\\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook; done").succeeded(t)
	j.run("build_script", "true").succeeded(t).says(t, "Ready: ")
	if got := host.Get(t, "login.review.localhost", "/.git/config", true); got.Status != 404 {
		t.Errorf("/.git/config of the app answers %d %q", got.Status, got.Body)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program that the job named has run on the host")
	}
}

// TestHostile_FullWorkspace lets a job fill the disk that the store of the volumes
// is on: what comes after the script still runs, and cleanup makes room again.
func TestHostile_FullWorkspace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	jobs := newJobs(t, 2)
	volumes := filepath.Join(host.Dir, "store", "volumes")
	if err := os.MkdirAll(volumes, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", volumes, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { // before the jobs' own, whose volumes are there
		for _, j := range jobs {
			j.stage("cleanup").succeeded(t)
		}
		if err := syscall.Unmount(volumes, 0); err != nil {
			t.Error(err)
		}
	})
	j := jobs[0].deploys(page("full"))
	j.run("build_script", "exec dd if=/dev/zero of=/builds/filler bs=1M").exited(t, buildFailure, "No space left on device")
	j.run("build_script", "true").failed(t, "ERROR: review.env could not be written", "the review app is serving at")
	j.run("after_script", "echo after").succeeded(t).says(t, "after")
	j.run("upload_artifacts_on_failure", "echo upload").succeeded(t).says(t, "upload")
	j.stage("cleanup").succeeded(t)
	jobs[1].prepared().run("build_script", "head -c 1048576 /dev/zero >/builds/room").succeeded(t)
}

// TestHostile_DirectoriesOfTheJob deploys with every directory that a job can name
// pointing elsewhere. Its own checkout is what is built, and review.env is in it.
func TestHostile_DirectoriesOfTheJob(t *testing.T) {
	for _, dir := range []string{"/etc", "../..", "/builds/../etc", "/builds", "", "/buildsx", "\x1b[31m"} {
		t.Run(fmt.Sprintf("%q", dir), func(t *testing.T) {
			j := newJobs(t, 1)[0]
			j.env = []string{"CUSTOM_ENV_CI_PROJECT_DIR=" + dir, "CUSTOM_ENV_CI_BUILDS_DIR=/etc", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/etc", "CUSTOM_ENV_CI_CONCURRENT_ID=../.."}
			j.deploys(page("its own checkout"))
			j.run("build_script", "true").succeeded(t).says(t, "Ready: ")
			j.run("upload_artifacts_on_success", "cat /builds/group/shop/review.env; ls /etc/review.env /review.env /builds/review.env 2>/dev/null || true").succeeded(t).says(t, "REVIEW_HOST=login.review.localhost\n")
			if got := host.Get(t, "login.review.localhost", "/", true); !strings.Contains(got.Body, "its own checkout") {
				t.Errorf("it serves %d %q", got.Status, got.Body)
			}
		})
	}
}
