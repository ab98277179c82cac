package main

import (
	"strings"
	"testing"
)

const debian = "localhost/review-demo/debian"

// TestConformance_ProjectAndFileVariablesAreSharedWithAnyUser has the helper and
// the job write into each other's directories.
func TestConformance_ProjectAndFileVariablesAreSharedWithAnyUser(t *testing.T) {
	first := newDriverJob(t)
	for user, uid := range map[string]string{"": "0", "1000": "1000", "65534": "65534", "1000:100": "1000"} {
		j := first.another()
		j.image = busybox
		if user != "" {
			j.image = first.newImage("FROM " + busybox + "\nUSER " + user + "\n")
		}
		j.prepared()
		j.run("get_sources", "mkdir -p /builds/group/shop/dir /builds/group/shop.tmp; cd /builds/group/shop; git init -q; echo one >file; echo one >dir/file; (umask 077; echo secret >/builds/group/shop.tmp/FILE_VARIABLE; chmod 666 /builds/group/shop.tmp/FILE_VARIABLE)").succeeded(t)
		got := j.run("build_script", "id -u; cd /builds/group/shop; echo two >>file; echo two >>dir/file; rm dir/file; mkdir new; echo new >new/file; cat file ../shop.tmp/FILE_VARIABLE; echo ENV >../shop.tmp/env; rm -r .git").succeeded(t)
		if got.stdout != uid+"\none\ntwo\nsecret\n" {
			t.Errorf("user %q: %q", user, got.stdout)
		}
		got = j.run("archive_cache", "cd /builds/group/shop; cat new/file ../shop.tmp/env; echo three >>new/file; rm -r new").succeeded(t)
		if got.stdout != "new\nENV\n" {
			t.Errorf("user %q: %q", user, got.stdout)
		}
		j.run("cleanup_file_variables", "rm -r /builds/group/shop.tmp").succeeded(t)
		j.run("after_script", "test ! -e /builds/group/shop.tmp").succeeded(t)
		j.stage("cleanup").succeeded(t)
	}
}

func TestConformance_GitAcceptsTheCheckoutOfAnotherUser(t *testing.T) {
	j := newDriverJob(t)
	j.image = j.newImage("FROM " + debian + "\nUSER 1000\n")
	j.prepared()
	j.run("get_sources", "mkdir -p /builds/group/shop; cd /builds/group/shop; git init -q --initial-branch main; git -c user.name=T -c user.email=t@example.org commit -q --allow-empty -m first").succeeded(t)
	j.run("build_script", "cd /builds/group/shop; id -u; git status; git log --format=%s; git -c user.name=T -c user.email=t@example.org commit -q --allow-empty -m second").succeeded(t).says(t, "1000\nOn branch main", "first\n")
	j.run("archive_cache", "cd /builds/group/shop; git log --format=%s").succeeded(t).says(t, "second\nfirst\n")
}

// onlySh is an image with one file, which is busybox.
const onlySh = "FROM " + busybox + " AS b\nFROM scratch\nCOPY --from=b /bin/busybox /bin/sh\n"

func TestConformance_ImageNeedsNothingButAShell(t *testing.T) {
	j := newDriverJob(t)
	for name, containerfile := range map[string]string{
		"in /bin":     onlySh,
		"in /busybox": "FROM " + busybox + " AS b\nFROM scratch\nENV PATH=/busybox\nCOPY --from=b /bin/busybox /busybox/sh\n",
		"for nobody":  onlySh + "USER 65534\n",
	} {
		j.image = j.newImage(containerfile)
		j.prepared()
		j.run("get_sources", "mkdir -p /builds/group/shop; echo text >/builds/group/shop/file").succeeded(t)
		got := j.run("build_script", "read line </builds/group/shop/file; echo $line; echo more >/builds/group/shop/more").succeeded(t)
		if got.stdout != "text\n" {
			t.Errorf("a shell %s: %q", name, got.stdout)
		}
		j.run("build_script", "exit 42").exited(t, buildFailure)
		if j.exitCode() != "42\n" {
			t.Errorf("a shell %s: exit code %q", name, j.exitCode())
		}
		j.cancelled("build_script", "echo begun; while :; do :; done")
		j.run("after_script", "echo after").succeeded(t).says(t, "after\n")
	}
}

func TestConformance_ImageWithoutAShellIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	j.image = j.newImage("FROM " + busybox + " AS b\nFROM scratch\nCOPY --from=b /bin/busybox /bin/busybox\n")
	j.stage("prepare").exited(t, buildFailure, "cannot start its command", "needs a shell")
}

func TestConformance_ImagesEnvironmentAndDirectoryAreTheScripts(t *testing.T) {
	j := newDriverJob(t)
	j.image = j.newImage("FROM " + busybox + "\nENV OF_THE_IMAGE=yes\nWORKDIR /srv\n")
	if got := j.prepared().run("build_script", "echo $OF_THE_IMAGE; pwd").succeeded(t); got.stdout != "yes\n/srv\n" {
		t.Errorf("%q", got.stdout)
	}
}

// entry is an image whose entrypoint sets a variable and runs its arguments.
const entry = "FROM " + busybox + "\n" + `RUN printf '#!/bin/sh\nexport OF_THE_ENTRYPOINT=yes\nexec "$@"\n' >/entry; chmod 755 /entry` + "\n" + `ENTRYPOINT ["/entry"]` + "\n"

func TestConformance_EntrypointRunsBeforeTheScript(t *testing.T) {
	j := newDriverJob(t)
	for name, containerfile := range map[string]string{"as root": entry, "as somebody": entry + "USER 1000\n"} {
		j.image = j.newImage(containerfile)
		j.prepared()
		for _, stage := range []string{"build_script", "after_script"} {
			if got := j.run(stage, "echo $OF_THE_ENTRYPOINT").succeeded(t); got.stdout != "yes\n" {
				t.Errorf("%s of an image that runs %s: %q", stage, name, got.stdout)
			}
		}
		j.run("build_script", "exit 42").exited(t, buildFailure)
		if j.exitCode() != "42\n" {
			t.Errorf("an image that runs %s: exit code %q", name, j.exitCode())
		}
	}
}

func TestConformance_EntrypointThatTakesACommandLineRunsTheScript(t *testing.T) {
	j := newDriverJob(t)
	j.image = busybox
	for _, entrypoint := range [][]string{{"/bin/sh", "-c"}, {"/bin/env", "OF_THE_ENTRYPOINT=yes"}} {
		j.response = object{"image": object{"name": busybox, "entrypoint": entrypoint}}
		j.prepared()
		j.run("build_script", "echo hello").succeeded(t).says(t, "hello\n")
		j.run("build_script", "exit 42").exited(t, buildFailure)
		if j.exitCode() != "42\n" {
			t.Errorf("entrypoint %v: exit code %q", entrypoint, j.exitCode())
		}
	}
}

func TestConformance_EntrypointThatDoesNotRunTheScriptIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	for name, entrypoint := range map[string]string{
		"fails":                  `["/bin/false"]`,
		"says so and fails":      `["/bin/sh", "-c", "echo usage: tool COMMAND; exit 64", "tool"]`,
		"does something and all": `["/bin/echo", "hello from the tool"]`,
	} {
		j.image = j.newImage("FROM " + busybox + "\nENTRYPOINT " + entrypoint + "\n")
		j.prepared()
		got := j.run("build_script", "echo it ran >/dev/stderr")
		if got.code != buildFailure || !strings.Contains(got.stderr, "the entrypoint of the job's image did not run the script") || !strings.Contains(got.stderr, `entrypoint: [""]`) {
			t.Errorf("an entrypoint that %s: exit code %d, want %d\n%s%s", name, got.code, buildFailure, got.stdout, got.stderr)
		}
	}
}

func TestConformance_EntrypointCanBeOverridden(t *testing.T) {
	j := newDriverJob(t)
	name := j.newImage("FROM " + busybox + "\nENTRYPOINT [\"/bin/false\"]\n")
	for _, entrypoint := range [][]string{{""}, {}, {"/bin/env", "SET=yes"}} {
		j.response = object{"image": object{"name": name, "entrypoint": entrypoint}}
		j.prepared().run("build_script", "echo it ran").succeeded(t).says(t, "it ran\n")
	}
	j.response = object{"image": object{"name": busybox, "entrypoint": []string{"/no/such/entrypoint"}}}
	if got := j.stage("prepare"); got.code == 0 {
		got = j.run("build_script", "true")
		got.exited(t, buildFailure, "/no/such/entrypoint")
	} else {
		got.exited(t, buildFailure, "/no/such/entrypoint")
	}
}

func TestConformance_UserOfTheImageCanBeOverridden(t *testing.T) {
	j := newDriverJob(t)
	name := j.newImage("FROM " + busybox + "\nUSER 1000\n")
	for user, want := range map[string]string{"": "1000:0\n", "0": "0:0\n", "4711": "4711:0\n", "4711:42": "4711:42\n"} {
		j.response = object{"image": object{"name": name, "executor_opts": object{"docker": object{"user": user}}}}
		if got := j.prepared().run("build_script", "echo $(id -u):$(id -g)").succeeded(t); got.stdout != want {
			t.Errorf("user %q: %q, want %q", user, got.stdout, want)
		}
	}
}

func TestConformance_UnknownUserIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"image": object{"name": busybox, "executor_opts": object{"docker": object{"user": "nosuch"}}}}
	got := j.stage("prepare")
	if got.code == 0 {
		got = j.run("build_script", "true")
	}
	got.exited(t, buildFailure, "nosuch")
}

func TestConformance_ImageOfAnotherPlatformIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"image": object{"name": busybox, "executor_opts": object{"docker": object{"platform": "linux/s390x"}}}}
	j.stage("prepare").exited(t, buildFailure, "linux/s390x")
}
