package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestDriver_JobsDoNotMeet(t *testing.T) {
	jobs := make([]*driverJob, 3)
	for i := range jobs {
		jobs[i] = &driverJob{t: t, id: 1000 + lastJob.Add(1), dir: t.TempDir(), vars: []string{"CI_PROJECT_ID=7"}}
	}
	each := func(do func(*driverJob) result) {
		t.Helper()
		var group sync.WaitGroup
		results := make([]result, len(jobs))
		for i, j := range jobs {
			group.Go(func() { results[i] = do(j) })
		}
		group.Wait()
		for _, r := range results {
			r.succeeded(t)
		}
	}
	t.Cleanup(func() {
		each(func(j *driverJob) result { return j.stage("cleanup") })
		nothingLeft(t)
	})
	each(func(j *driverJob) result { return j.stage("prepare") })
	each(func(j *driverJob) result { return j.run("get_sources", fmt.Sprintf("echo %d >/builds/mine", j.id)) })
	each(func(j *driverJob) result {
		return j.run("build_script", fmt.Sprintf("test $(cat /builds/mine) = %d; test $(ls /builds | wc -l) = 1; hostname", j.id))
	})
	networks := map[string]bool{}
	for _, j := range jobs {
		network := host.Podman(t, "inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", fmt.Sprintf("review-job-%d", j.id))
		networks[network] = true
		for _, other := range jobs {
			reached := j.run("build_script", fmt.Sprintf("getent hosts review-job-%d-helper", other.id)).code == 0
			if reached != (other == j) {
				t.Errorf("job %d finds the helper of job %d: %t", j.id, other.id, reached)
			}
		}
	}
	if len(networks) != len(jobs) {
		t.Errorf("networks %v", networks)
	}
	jobs[0].stage("cleanup").succeeded(t)
	jobs[1].run("build_script", "test -e /builds/mine").succeeded(t)
}

func TestDriver_HelpersFilesAreWritableByAnyUser(t *testing.T) {
	const image = "localhost/test/user"
	j := newDriverJob(t)
	file := filepath.Join(t.TempDir(), "Containerfile")
	if err := os.WriteFile(file, []byte("FROM localhost/review-demo/busybox\nUSER 1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host.Podman(t, "build", "--quiet", "--tag", image, "--file", file, filepath.Dir(file))
	t.Cleanup(func() {
		j.stage("cleanup").succeeded(t)
		host.Podman(t, "rmi", image)
	})
	j.image = image
	j.prepared()
	j.run("get_sources", "mkdir -p /builds/group/shop/dir /builds/group/shop.tmp; cd /builds/group/shop; git init -q; echo one >file; echo one >dir/file; echo x >/builds/group/shop.tmp/FILE_VARIABLE").succeeded(t)
	got := j.run("build_script", "id -u; cd /builds/group/shop; echo two >>file; echo two >>dir/file; rm dir/file; mkdir new; echo new >new/file; cat file /builds/group/shop.tmp/FILE_VARIABLE; rm -r .git").succeeded(t)
	if got.stdout != "1000\none\ntwo\nx\n" {
		t.Errorf("%q", got.stdout)
	}
	j.run("archive_cache", "cd /builds/group/shop; cat new/file; echo three >>new/file; rm -r new /builds/group/shop.tmp").succeeded(t).says(t, "new\n")
}

// TestDriver_IdentityIsNotTheAuthorsToSet deploys and stops with every variable
// overridden that could lead to another job, project or environment.
func TestDriver_IdentityIsNotTheAuthorsToSet(t *testing.T) {
	hostile := []string{
		"CI_JOB_ID=666", "CI_COMMIT_REF_SLUG=evil", "CI_ENVIRONMENT_NAME=review/evil", "CI_ENVIRONMENT_SLUG=evil", "CI_PROJECT_PATH=evil/shop", "CI_PROJECT_ID=666",
		"CI_COMMIT_SHA=" + strings.Repeat("6", 40), "CI_PROJECT_DIR=/etc", "CI_CONCURRENT_ID=666", "REVIEW_EXECUTOR_JOB=666",
	}
	j := newDriverJob(t)
	t.Cleanup(func() {
		for _, app := range appNames(t) {
			runProgram(t, "stop", app).succeeded(t)
		}
	})
	j.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"}, append(hostile, "CI_ENVIRONMENT_ACTION=stop")...)
	j.prepared()
	if names := strings.Fields(host.Podman(t, "ps", "--format", "{{.Names}}")); len(names) != 2 || !slices.Contains(names, fmt.Sprintf("review-job-%d", j.id)) || !slices.Contains(names, fmt.Sprintf("review-job-%d-helper", j.id)) {
		t.Errorf("containers %v", names)
	}
	j.run("get_sources", "mkdir -p /builds/group/shop; cd /builds/group/shop; echo hello >index.html; cat >Containerfile <<'END'\n"+page("hello")["Containerfile"]+"END").succeeded(t)
	j.run("build_script", "true").succeeded(t).says(t, "Deploying review app login")
	j.run("upload_artifacts_on_success", "cat /builds/group/shop/review.env").succeeded(t).says(t, "REVIEW_HOST=login.review.localhost\n")
	var apps []listed
	if err := json.Unmarshal([]byte(runProgram(t, "list", "--output", "json").succeeded(t).stdout), &apps); err != nil {
		t.Fatal(err)
	}
	if len(apps) != 1 || apps[0].Name != "login" || apps[0].Project != "group/shop" || apps[0].Environment != "review/login" || apps[0].Job != j.id || apps[0].SHA != strings.Repeat("3f2c1a9f", 5) {
		t.Errorf("%+v", apps)
	}
	j.stage("cleanup").succeeded(t)
	stop := newDriverJob(t)
	stop.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7"}, append(hostile, "CI_ENVIRONMENT_ACTION=start")...)
	stop.prepared().run("build_script", "true").succeeded(t).says(t, "Stopped review app login")
}

func TestDriver_EnvironmentOfTheHostStaysThere(t *testing.T) {
	j := newDriverJob(t)
	j.env = []string{"SECRET_OF_THE_HOST=s3cret", "HTTPS_PROXY=http://user:s3cret@proxy.invalid"}
	j.vars = append(j.vars, "OF_THE_JOB=comes with the script alone")
	j.prepared()
	known := []string{"PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "TERM", "LANG", "container", "_", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
	for _, stage := range []string{"get_sources", "build_script"} {
		for _, line := range strings.Split(strings.TrimSpace(j.run(stage, "env; cat /proc/1/environ | tr '\\0' '\\n'").succeeded(t).stdout), "\n") {
			if name, _, _ := strings.Cut(line, "="); !slices.Contains(known, name) {
				t.Errorf("%s sees %s", stage, line)
			}
		}
	}
	if all := host.Podman(t, "inspect", fmt.Sprintf("review-job-%d", j.id), fmt.Sprintf("review-job-%d-helper", j.id)); strings.Contains(all, "s3cret") {
		t.Error("it is in the description of a container")
	}
}
