package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// website is a service that shows its environment and its arguments on port 8080.
const website = "FROM " + busybox + "\nEXPOSE 8080\n" +
	`RUN printf '#!/bin/sh\nenv >/site/env && echo "$@" >/site/args\nexec httpd -f -p ${LISTEN:-8080} -h /site\n' >/serve; chmod 755 /serve; mkdir -m 777 /site` + "\n" +
	`ENTRYPOINT ["/serve"]` + "\nCMD [\"of\", \"the\", \"image\"]\n"

// get is a shell function for bash: get HOST PORT PATH.
const get = "get() { exec 3<>/dev/tcp/$1/$2 && printf 'GET /%s HTTP/1.0\\r\\n\\r\\n' $3 >&3 && sed '1,/^\\r$/d' <&3; }\n"

func TestConformance_ServiceIsReachedByItsNames(t *testing.T) {
	j := newDriverJob(t)
	image := j.newImage(website) // localhost/test/image-N:1
	last := strings.TrimSuffix(strings.TrimPrefix(image, "localhost/test/"), ":1")
	j.vars = append(j.vars, "NAME=from-a-variable")
	j.response = object{"services": []object{{"name": image, "alias": "db,database  $NAME, search"}}}
	j.prepared()
	for _, name := range []string{"localhost__test__" + last, "localhost-test-" + last, "db", "database", "from-a-variable", "search"} {
		if got := j.run("build_script", get+"get "+name+" 8080 args"); got.stdout != "of the image\n" {
			t.Errorf("%s: exit code %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
}

func TestConformance_FirstServiceWithANameKeepsIt(t *testing.T) {
	j := newDriverJob(t)
	image, other := j.newImage(website), j.newImage(website)
	j.response = object{"services": []object{
		{"name": image, "alias": "db", "command": []string{"the", "first"}},
		{"name": other, "alias": "db search", "command": []string{"the", "second"}},
	}}
	j.stage("prepare").succeeded(t).says(t, `WARNING: service `+other+` cannot be called "db"`)
	if got := j.run("build_script", get+"get db 8080 args; get search 8080 args").succeeded(t); got.stdout != "the first\nthe second\n" {
		t.Errorf("%q", got.stdout)
	}
}

func TestConformance_NamesThatAreNoneAreWarnedOf(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"services": []object{{"name": j.newImage(website), "alias": "db;reboot good"}}}
	j.stage("prepare").succeeded(t).says(t, "WARNING", `"db;reboot"`)
	j.run("build_script", get+"get good 8080 args").succeeded(t).says(t, "of the image\n")
}

func TestConformance_ServicesCommandAndEntrypoint(t *testing.T) {
	j := newDriverJob(t)
	image := j.newImage(website)
	j.response = object{"services": []object{
		{"name": image, "alias": "plain"},
		{"name": image, "alias": "command", "command": []string{"a command", "of the job"}},
		{"name": image, "alias": "entrypoint", "entrypoint": []string{"/bin/sh", "-c", "exec /serve entered $*", "sh"}, "command": []string{"and", "more"}},
	}}
	j.prepared()
	got := j.run("build_script", get+"for name in plain command entrypoint; do get $name 8080 args; done").succeeded(t)
	if want := "of the image\na command of the job\nentered and more\n"; got.stdout != want {
		t.Errorf("%q, want %q", got.stdout, want)
	}
}

func TestConformance_ServiceHasPublicVariablesAndItsOwn(t *testing.T) {
	j := newDriverJob(t)
	j.vars = append(j.vars, "SECRET=s3cret")
	j.public = []string{"PUBLIC=of the job", "BOTH=of the job"}
	j.response = object{"services": []object{
		{"name": j.newImage(website), "alias": "db", "variables": []object{{"key": "OWN", "value": "with $PUBLIC"}, {"key": "BOTH", "value": "of the service"}}},
	}}
	j.prepared()
	got := strings.Split(j.run("build_script", get+"get db 8080 env").succeeded(t).stdout, "\n")
	for _, line := range []string{"PUBLIC=of the job", "OWN=with of the job", "BOTH=of the service"} {
		if !slices.Contains(got, line) {
			t.Errorf("it does not have %s: %q", line, got)
		}
	}
	if strings.Contains(strings.Join(got, "\n"), "s3cret") {
		t.Errorf("it has what is no business of it: %q", got)
	}
}

// TestConformance_PrepareWaitsUntilServicesListen has services that take a while.
func TestConformance_PrepareWaitsUntilServicesListen(t *testing.T) {
	j := newDriverJob(t)
	late := []string{"/bin/sh", "-c", "sleep 2; exec /serve"}
	j.response = object{"services": []object{
		{"name": j.newImage(website), "alias": "exposed", "entrypoint": late},
		{"name": j.newImage(website), "alias": "told", "entrypoint": late, "variables": []object{{"key": "HEALTHCHECK_TCP_PORT", "value": "9000"}, {"key": "LISTEN", "value": "9000"}}},
	}}
	if got := j.stage("prepare").succeeded(t); strings.Contains(got.stdout+got.stderr, "WARNING") {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	j.run("build_script", get+"get exposed 8080 args; get told 9000 args").succeeded(t)
}

// TestConformance_ServicesNameIsKnownWhenPrepareHasEnded resolves names at once,
// and while another service ends.
func TestConformance_ServicesNameIsKnownWhenPrepareHasEnded(t *testing.T) {
	j := newDriverJob(t)
	image := j.newImage(website)
	j.response = object{"services": []object{
		{"name": image, "alias": "one"},
		{"name": image, "alias": "two"},
		{"name": busybox, "alias": "short-lived", "command": []string{"true"}},
		{"name": image, "alias": "three"},
	}}
	for range 5 {
		j.prepared().run("build_script", "for name in one two three; do getent hosts $name; done").succeeded(t)
		j.stage("cleanup").succeeded(t)
	}
}

// TestConformance_ServiceThatExposesNothingIsNotWaitedFor has one that would be
// waited for in vain.
func TestConformance_ServiceThatExposesNothingIsNotWaitedFor(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	if got := j.stage("prepare").succeeded(t); strings.Contains(got.stdout+got.stderr, "WARNING") {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
}

func TestConformance_ServiceThatDiesIsAWarning(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"services": []object{
		{"name": j.newImage("FROM " + busybox + "\nEXPOSE 5432\nCMD [\"sh\", \"-c\", \"seq 100; echo password is not set >&2; exit 3\"]\n"), "alias": "db"},
		{"name": j.newImage(website), "alias": "web"},
	}}
	got := j.stage("prepare").succeeded(t).says(t, "WARNING: service localhost/test/", "has ended with code 3", "password is not set", "  100\n")
	if strings.Contains(got.stdout, "  42\n") {
		t.Errorf("it has more than the last lines:\n%s", got.stdout)
	}
	j.run("build_script", get+"get web 8080 args").succeeded(t)
}

func TestConformance_ServiceThatCannotStartIsABuildFailure(t *testing.T) {
	j := newDriverJob(t)
	j.response = object{"services": []object{{"name": busybox, "command": []string{"/no/such/program"}}}}
	j.stage("prepare").exited(t, buildFailure, "service "+busybox, "/no/such/program")
}

// TestConformance_ServiceIsReachedByItsOwnJobAlone tries once more when the
// network of a third job has gone: netavark 1.4 takes with it the rule on which
// the isolation of all others depends.
func TestConformance_ServiceIsReachedByItsOwnJobAlone(t *testing.T) {
	networksStayApart(t)
	j := newDriverJob(t)
	j.response = object{"services": []object{{"name": j.newImage(website), "alias": "db"}}}
	other := j.another()
	other.response = idleService
	j.prepared()
	other.prepared()
	address := host.Podman(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", fmt.Sprintf("review-job-%d-service-0", j.id))
	try := func(when string) {
		for _, name := range []string{"db", address} {
			script := get + "get " + name + " 8080 args"
			if got := j.run("build_script", script); got.stdout != "of the image\n" {
				t.Errorf("%s its own job does not reach %s: %d\n%s%s", when, name, got.code, got.stdout, got.stderr)
			}
			if got := other.run("build_script", "timeout 3 bash -c '"+strings.ReplaceAll(script, "'", `'\''`)+"'"); got.code == 0 {
				t.Errorf("%s another job reaches %s: %s", when, name, got.stdout)
			}
		}
	}
	try("at first")
	third := j.another().prepared()
	third.stage("cleanup").succeeded(t)
	try("after the end of a third job")
}

func TestConformance_ServiceOfAnotherUser(t *testing.T) {
	j := newDriverJob(t)
	image := j.newImage(website + "USER 1000\n")
	j.response = object{"services": []object{
		{"name": image, "alias": "plain", "entrypoint": []string{"/bin/sh", "-c", "exec /serve $(id -u)"}},
		{"name": image, "alias": "other", "entrypoint": []string{"/bin/sh", "-c", "exec /serve $(id -u)"}, "executor_opts": object{"docker": object{"user": "4711"}}},
	}}
	if got := j.prepared().run("build_script", get+"get plain 8080 args; get other 8080 args").succeeded(t); got.stdout != "1000\n4711\n" {
		t.Errorf("%q", got.stdout)
	}
}
