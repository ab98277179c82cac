package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// database is a companion that serves the file of its volume.
func (j *driverJob) database() object {
	image := j.newImage("FROM " + busybox + "\nVOLUME /data\nEXPOSE 80\nSTOPSIGNAL SIGKILL\nCMD [\"sh\", \"-c\", \"test -e /data/index.html || echo $GREETING >/data/index.html; exec httpd -f -p 80 -h /data\"]\n")
	return object{"name": image, "alias": "db"}
}

// ask prints what the companion says.
const ask = "wget -q -O - http://db/ || echo nobody is there"

func TestCompanions_ServeTheScriptAndTheAppAndOutliveTheJob(t *testing.T) {
	j := newDriverJob(t).deploying()
	j.image = busybox
	t.Cleanup(func() { stopApps(t) })
	j.response = object{"services": []object{j.database()}}
	j.public = []string{"GREETING=hello from the database"}
	files := page("unused")
	files["Containerfile"] = "FROM " + busybox + "\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n" +
		`CMD ["sh", "-c", "mkdir -p /site; while ` + "true" + `; do wget -q -O /site/index.html http://db/; sleep 0.2; done & exec httpd -f -p 8080 -h /site"]` + "\n"
	j.prepared().checkout(files).succeeded(t)
	j.run("build_script", ask).succeeded(t).says(t, "hello from the database")
	j.stage("cleanup").succeeded(t)
	eventually(t, "the app has read its companion", func() bool {
		return strings.Contains(host.Get(t, "login.review.localhost", "/", true).Body, "hello from the database")
	})
	companion := host.Podman(t, "ps", "--filter", "label=review-executor.role=companion", "--format", "{{.ID}}")

	next := j.another().deploying()
	next.public = j.public
	next.prepared().checkout(files).succeeded(t)
	next.run("build_script", ask).succeeded(t).says(t, "hello from the database")
	next.stage("cleanup").succeeded(t)
	if now := host.Podman(t, "ps", "--filter", "label=review-executor.role=companion", "--format", "{{.ID}}"); now != companion {
		t.Errorf("the companion is another: %s, not %s", now, companion)
	}

	changed := j.another().deploying()
	changed.public = []string{"GREETING=changed"}
	changed.prepared().checkout(files).succeeded(t)
	changed.run("build_script", ask).succeeded(t).says(t, "hello from the database") // the volume's
	if now := host.Podman(t, "ps", "--filter", "label=review-executor.role=companion", "--format", "{{.ID}}"); now == companion || strings.Contains(now, "\n") {
		t.Errorf("the companions are %s after a change", now)
	}
	// The job's container is still in the app's network.
	runProgram(t, "stop", "login").succeeded(t)
	changed.stage("cleanup").succeeded(t)
	j.cleaned()
	for _, list := range [][]string{{"volume", "ls", "--quiet"}, {"network", "ls", "--quiet", "--filter", "label=review-executor.app"}} {
		if left := host.Podman(t, list...); left != "" {
			t.Errorf("podman %v: %s", list, left)
		}
	}
}

func TestCompanions_OfAJobThatFailsAreGone(t *testing.T) {
	j := newDriverJob(t).deploying()
	j.response = object{"services": []object{j.database()}}
	j.prepared()
	j.run("build_script", "exit 3").exited(t, buildFailure)
	j.stage("cleanup").succeeded(t)
	if left := host.Podman(t, "ps", "--all", "--quiet"); left != "" {
		t.Errorf("there is still %s", left)
	}
}

// loseContainers removes every container, as a wiped store does. Podman 4.3 says
// "device or resource busy" at times, and then does it.
func loseContainers(t testing.TB) {
	t.Helper()
	host.Podman(t, "stop", "--all", "--time", "0")
	eventually(t, "podman has removed all containers", func() bool {
		return exec.Command(filepath.Join(host.Dir, "podman"), "rm", "--all").Run() == nil
	})
}

// TestCompanions_AndVolumesComeBackAfterEverythingWasLost but the volumes.
func TestCompanions_AndVolumesComeBackAfterEverythingWasLost(t *testing.T) {
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.response = object{"services": []object{j.database()}}
	j.vars = append(j.vars, "REVIEW_VOLUMES=/site", "REVIEW_RELEASE_COMMAND=echo released >>/site/index.html", "REVIEW_COMMAND=exec httpd -f -p 8080 -h /site")
	files := page("a page")
	files["Containerfile"] = "FROM " + busybox + "\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n"
	j.prepared().checkout(files).succeeded(t)
	j.run("build_script", "true").succeeded(t).says(t, "release    command done")
	j.stage("cleanup").succeeded(t)
	body := func() string { return host.Get(t, "login.review.localhost", "/", true).Body }
	if got := body(); got != "released\n" {
		t.Fatalf("it serves %q", got)
	}
	for what, harm := range map[string]func(testing.TB){
		"end":        func(t testing.TB) { host.Podman(t, "stop", "--all", "--time", "0") },
		"go forever": loseContainers,
	} {
		harm(t)
		runProgram(t, "sync", "--dry-run").succeeded(t).says(t, "login: would start container review-app-login-db-", "login: would start container review-app-login-3f2c1a9-")
		runProgram(t, "sync").succeeded(t).says(t, "login: ")
		if got := body(); got != "released\n" {
			t.Errorf("after its containers %s and sync it serves %q", what, got)
		}
	}
	loseContainers(t)
	host.Podman(t, "volume", "prune", "--force")
	runProgram(t, "sync").succeeded(t)
	if got := body(); got != "released\n" { // on a new volume
		t.Errorf("without its volumes, after sync, it serves %q", got)
	}
	if got := runProgram(t, "sync").succeeded(t); got.stdout != "" {
		t.Errorf("the second sync: %s", got.stdout)
	}
}

// TestVolumes_KeepTheirOwners whatever happens to the app's containers: the image
// gives its directory to a user that is not the one that it starts as.
func TestVolumes_KeepTheirOwners(t *testing.T) {
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	files := page("owners")
	files["Containerfile"] = "FROM " + busybox + "\nRUN mkdir -p /data/own && chown 33:33 /data/own\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n" +
		`CMD ["sh", "-c", "mkdir -p /site; stat -c %u:%g /data/own >/site/index.html; exec httpd -f -p 8080 -h /site"]` + "\n"
	deploy := func(volumes string) {
		t.Helper()
		next := j.another().deploying()
		next.vars = append(next.vars, "REVIEW_VOLUMES="+volumes, "REVIEW_RELEASE_COMMAND=true")
		next.prepared().checkout(files).succeeded(t)
		next.run("build_script", "true").succeeded(t)
		next.stage("cleanup").succeeded(t)
	}
	owners := func(when string) {
		t.Helper()
		if got := host.Get(t, "login.review.localhost", "/", true); got.Body != "33:33\n" {
			t.Errorf("%s, the directory is of %q", when, got.Body)
		}
	}
	deploy("/data")
	owners("after the first deploy")
	deploy("/data")
	owners("after a redeploy")
	deploy("/other")
	deploy("/data")
	owners("after a release without the volume")
	loseContainers(t)
	runProgram(t, "sync").succeeded(t)
	owners("after all containers were lost")
}

func TestRollback_BringsTheVersionBeforeBackAtOnce(t *testing.T) {
	p := newProject(t, page("the first"))
	runProgram(t, "rollback", "main").failed(t, `there is no review app "main"`)
	p.try("main").succeeded(t)
	runProgram(t, "rollback", "main").failed(t, `there is no version of review app "main" before the one that serves`)
	p.commit(page("the second"))
	p.try("main").succeeded(t)
	runProgram(t, "rollback", "main", "--dry-run").succeeded(t).says(t, "Would roll review app main back")
	stillServing(t, "main", "the second", 2)
	runProgram(t, "rollback", "main").succeeded(t).says(t, "Rolling review app main back to version", "retired    version", "Ready: http://main.review.localhost:")
	stillServing(t, "main", "the first", 2)
	p.commit(page("the third"))
	p.try("main").succeeded(t)
	stillServing(t, "main", "the third", 2)
}

// needsLimits skips where the test's host has no limits, and so no ceiling.
func needsLimits(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); os.Getuid() != 0 && err != nil {
		t.Skip("cgroups of version 1 limit nothing without root")
	}
}

func TestDeploy_LimitsOfTheProject(t *testing.T) {
	needsLimits(t)
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.vars = append(j.vars, "REVIEW_MEMORY=64MiB", "REVIEW_CPUS=0.5")
	j.prepared().checkout(page("limited")).succeeded(t)
	j.run("build_script", "true").succeeded(t)
	got := host.Podman(t, "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}} {{.HostConfig.PidsLimit}}", fmt.Sprintf("review-app-login-3f2c1a9-%d", j.id))
	if got != "67108864 50000 4096" {
		t.Errorf("limits %s", got)
	}
	greedy := j.another().deploying()
	greedy.vars = append(greedy.vars, "REVIEW_MEMORY=1TiB")
	greedy.prepared().checkout(page("greedy")).succeeded(t)
	greedy.run("build_script", "true").exited(t, buildFailure, "REVIEW_MEMORY is 1.0TiB; this host gives an app at most 4.0GiB")
}
