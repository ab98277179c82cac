package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
)

// othersApp deploys an app of another project and returns its image: name and ID.
func othersApp(t *testing.T) (name, id string) {
	t.Helper()
	files := page("s3cret-of-the-other")
	newProject(t, files).try("main").succeeded(t)
	name = host.Podman(t, "images", "--filter", "label=review-executor.app=main", "--format", "{{.Repository}}:{{.Tag}}")
	return name, host.Podman(t, "inspect", "--type", "image", "--format", "{{.Id}}", name)
}

// TestHostile_ImageOfAnotherProject tries to run a job, or a service, in the image
// that was built for another project's app.
func TestHostile_ImageOfAnotherProject(t *testing.T) {
	name, id := othersApp(t)
	digest := host.Podman(t, "inspect", "--type", "image", "--format", "{{index .RepoDigests 0}}", name)
	j := newJobs(t, 1)[0]
	j.config = hostConfig(t, "", "[jobs]", "[jobs]\nallowed_pull_policies = [\"always\", \"if-not-present\", \"never\"]")
	j.vars = append(j.vars, "IMAGE="+name)
	for what, image := range map[string]string{
		"its name": name, "its name in a variable": "$IMAGE", "its digest": digest, "a name with its digest": "localhost/x@" + digest[strings.Index(digest, "@")+1:],
		"its ID": "sha256:" + id, "its bare ID": id, "its short ID": id[:12], "its transport": "containers-storage:" + name,
	} {
		t.Run(what, func(t *testing.T) {
			for _, policy := range [][]string{nil, {"if-not-present"}} {
				j.t = t
				asked := map[string]any{"name": image, "pull_policy": policy}
				j.response = map[string]any{"image": asked}
				got := j.stage("prepare").exited(t, buildFailure, "ERROR: ")
				printable(t, got.stdout+got.stderr)
				j.response = map[string]any{"services": []any{asked}}
				j.stage("prepare").exited(t, buildFailure, "ERROR: ")
			}
		})
	}
}

// TestHostile_LabelsOfAnImageAreNotOurs runs a job in an image whose labels say that
// it is the app of another project, and part of another job.
func TestHostile_LabelsOfAnImageAreNotOurs(t *testing.T) {
	p := newProject(t, page("the victim"))
	jobs := newJobs(t, 2)
	j, other := jobs[0], jobs[1]
	j.hasImage("localhost/test/labelled", fmt.Sprintf(`FROM localhost/review-demo/busybox
LABEL review-executor.app=main review-executor.role=app review-executor.job=%d review-executor.release=evil-1
LABEL review-executor.environment=main review-executor.owner=1 review-executor.shell="{\"user\":\"nobody\"}" review-executor.cache=review-cache-8-protected-0
`, other.id))
	j.response = map[string]any{"services": []map[string]any{{"name": j.image, "entrypoint": []string{"sleep", "1000"}}}}
	j.prepared()
	if apps := appNames(t); len(apps) != 0 {
		t.Errorf("list shows %v", apps)
	}
	p.try("main").succeeded(t)
	p.commit(page("the victim again"))
	p.try("main").succeeded(t)
	other.prepared()
	other.stage("cleanup").succeeded(t)
	if got := j.run("build_script", "echo still there"); got.code != 0 {
		t.Errorf("after a deploy of the app and the cleanup of the job that the labels name: exit code %d, %s", got.code, got.stderr)
	}
	if got := host.Get(t, "main.review.localhost", "/", true); !strings.Contains(got.Body, "the victim again") {
		t.Errorf("the app serves %d %q", got.Status, got.Body)
	}
	if images := host.Podman(t, "images", "--format", "{{.Repository}}"); !strings.Contains(images, "localhost/test/labelled") {
		t.Error("the image is gone")
	}
	runProgram(t, "stop", "main").succeeded(t)
	if got := j.run("build_script", "echo still there"); got.code != 0 {
		t.Errorf("after a stop of the app that the labels name: exit code %d, %s", got.code, got.stderr)
	}
	j.stage("cleanup").succeeded(t)
	if left := host.Podman(t, "ps", "--all", "--format", "{{.Names}}"); left != "" {
		t.Errorf("after the cleanup there are %s", left)
	}
}

// privateImage is an image that needs a password, which the first of the jobs has
// and has used.
func privateImage(t *testing.T, jobs []*driverJob) string {
	t.Helper()
	registry := registrytest.New(t)
	registry.Push(t, "private:1", registrytest.Image{})
	registry.Protect("user", "s3cret-password")
	image := registry.Name("private:1")
	forget(t, image, jobs...)
	jobs[0].response = map[string]any{
		"image":       map[string]any{"name": image},
		"credentials": []map[string]any{{"type": "registry", "url": registry.Addr, "username": "user", "password": "s3cret-password"}},
	}
	jobs[0].prepared()
	return image
}

// TestHostile_PrivateImageOfAnotherProject runs a job, and a service, in an image that
// another job has pulled with a password.
func TestHostile_PrivateImageOfAnotherProject(t *testing.T) {
	jobs := newJobs(t, 2)
	image := privateImage(t, jobs)
	for _, policy := range [][]string{nil, {"always"}, {"never"}, {"if-not-present"}} {
		asked := map[string]any{"name": image, "pull_policy": policy}
		jobs[1].response = map[string]any{"image": asked}
		jobs[1].stage("prepare").exited(t, buildFailure)
		jobs[1].response = map[string]any{"services": []any{asked}}
		jobs[1].stage("prepare").exited(t, buildFailure)
	}
}

// TestHostile_SecretsAreNowhere looks for a registry's password and for the value of
// a CI variable in the arguments of every process, in what Podman tells of the
// containers, in the log, and in another job.
func TestHostile_SecretsAreNowhere(t *testing.T) {
	const password, value = "s3cret-password", "s3cret-value"
	registry := registrytest.New(t)
	registry.Push(t, "private:1", registrytest.Image{})
	registry.Protect("user", password)
	image := registry.Name("private:1")
	jobs := newJobs(t, 2)
	forget(t, image, jobs...)
	j, other := jobs[0], jobs[1]
	other.prepared()
	j.vars = append(j.vars, "TOKEN="+value, "DOCKER_AUTH_CONFIG="+fmt.Sprintf(`{"auths": {%q: {"username": "user", "password": %q}}}`, registry.Addr, password))
	j.response = map[string]any{
		"image":    map[string]any{"name": "localhost/review-demo/debian"},
		"services": []map[string]any{{"name": image, "entrypoint": []string{"sleep", "1000"}}},
	}
	seen := watchArguments(t)
	var log strings.Builder
	for _, r := range []result{
		j.stage("prepare", "--verbose").succeeded(t),
		j.run("get_sources", "export TOKEN="+value+"\nsleep 0.3; echo helper").succeeded(t),
		j.run("build_script", "export TOKEN="+value+"\nsleep 0.3; echo script").succeeded(t),
	} {
		log.WriteString(r.stdout + r.stderr)
	}
	described := host.Podman(t, "inspect", j.name(), j.helper(), j.service(0)) + host.Podman(t, "events", "--stream=false", "--format", "json")
	inside := other.got("tr '\\0' '\\n' </proc/[0-9]*/environ; env; cat /proc/[0-9]*/cmdline; grep -rs s3cret /tmp /run /builds /etc /root /var/tmp")
	arguments := seen()
	if !strings.Contains(arguments, "build_script") || !strings.Contains(log.String(), "script\n") || !strings.Contains(described, j.name()) {
		t.Fatalf("the search has seen nothing:\n%s%s", arguments, log.String())
	}
	for where, text := range map[string]string{"arguments": arguments, "the log": log.String(), "Podman's description": described, "another job": inside} {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "s3cret-") {
				t.Errorf("in %s: %s", where, line)
			}
		}
	}
	if files := strings.Join(filesWith(t, filepath.Join(host.Dir, "state"), "s3cret-"), " "); files != "" {
		t.Errorf("in the state directory: %s", files)
	}
}

// watchArguments collects the arguments of every process of this machine until
// the function that it returns is called.
func watchArguments(t *testing.T) (stop func() string) {
	done, collected := make(chan struct{}), make(chan string)
	go func() {
		seen := map[string]bool{}
		for {
			processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range processes {
				if text, err := os.ReadFile(file); err == nil {
					seen[strings.ReplaceAll(string(text), "\x00", " ")] = true
				}
			}
			select {
			case <-done:
				var all strings.Builder
				for line := range seen {
					all.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
				}
				collected <- all.String()
				return
			default:
			}
		}
	}()
	return func() string { close(done); return <-collected }
}

func filesWith(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), text) {
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestHostile_HugeEnvironmentOfAnImage runs a job in an image that sets what
// shells, git and the loader look at, and much more.
func TestHostile_HugeEnvironmentOfAnImage(t *testing.T) {
	j := newJobs(t, 1)[0]
	huge := strings.Repeat("x", 30000)
	j.hasImage("localhost/test/environment", "FROM localhost/review-demo/debian\nENV BASH_ENV=/evil ENV=/evil LD_PRELOAD=/evil.so IFS=/ GIT_DIR=/evil\nENV HUGE="+huge+"\nENV HUGER="+huge+"\n")
	j.prepared()
	j.run("get_sources", "git init --quiet /builds/x; test ! -v HUGE; test ! -v LD_PRELOAD").succeeded(t)
	j.run("build_script", "echo ${#HUGE} ${#HUGER}").succeeded(t).says(t, "30000 30000")
}

// TestHostile_OddServices asks for services that cannot be called so, do not
// listen, write what steers a terminal, or are many.
func TestHostile_OddServices(t *testing.T) {
	const busybox = "localhost/review-demo/busybox"
	j := newJobs(t, 1)[0]
	sleeps := []string{"sleep", "1000"}
	services := []map[string]any{
		{"name": busybox, "alias": ".. a..b/c " + strings.Repeat("x", 300) + " localhost host.containers.internal build \x1b[31mred $(id) *", "entrypoint": sleeps},
		{"name": busybox, "alias": "ends", "entrypoint": []string{"sh", "-c", "printf '\\033[8mhidden\\rERROR: fake\\033]0;title\\007\\nsection_end:0:x\\r\\033[0K\\n'; head -c 20000000 /dev/zero | tr '\\0' x; exit 3"}, "variables": []map[string]any{{"key": "HEALTHCHECK_TCP_PORT", "value": "1"}}},
		{"name": busybox, "alias": "port", "entrypoint": sleeps, "variables": []map[string]any{{"key": "HEALTHCHECK_TCP_PORT", "value": "99999"}, {"key": "A B", "value": "x"}, {"key": "", "value": "x"}, {"key": "A=B", "value": "x"}}},
	}
	for range 12 {
		services = append(services, map[string]any{"name": busybox, "entrypoint": sleeps})
	}
	j.response = map[string]any{"services": services}
	got := j.stage("prepare").succeeded(t)
	printable(t, got.stdout+got.stderr)
	got.says(t, `cannot be called ".."`, "has ended with code 3; the job goes on without it", "ERROR: fake")
	if strings.Contains(got.stdout, "\nERROR: fake") || len(got.stdout) > 20000 {
		t.Errorf("%d bytes: %.3000s", len(got.stdout), got.stdout)
	}
	for name, want := range map[string]string{"localhost": "127.0.0.1", "build": strings.Fields(j.got("hostname -I"))[0]} {
		if addresses := j.got("getent ahostsv4 " + name + " | cut -d' ' -f1 | sort -u"); addresses != want {
			t.Logf("%s is %q", name, addresses)
		}
	}
}

// TestHostile_OwnLinesStayPrintable puts what steers a terminal wherever it can get
// into a line of ours.
func TestHostile_OwnLinesStayPrintable(t *testing.T) {
	const evil = "\x1b[8m\rReady: https://evil\x1b]0;x\x07\u202e\n\nsection_end:0:x\r\x1b[0K"
	j := newJobs(t, 1)[0]
	for what, more := range map[string]map[string]any{
		"the image":              {"image": map[string]any{"name": "x" + evil}},
		"a local image":          {"image": map[string]any{"name": "localhost/" + evil}},
		"the platform":           {"image": map[string]any{"name": "localhost/x", "executor_opts": map[string]any{"docker": map[string]any{"platform": evil}}}},
		"the pull policy":        {"image": map[string]any{"name": "localhost/x", "pull_policy": []string{evil}}},
		"the user":               {"image": map[string]any{"name": "localhost/review-demo/busybox", "executor_opts": map[string]any{"docker": map[string]any{"user": evil}}}},
		"a service":              {"services": []map[string]any{{"name": "x" + evil}}},
		"a service's entrypoint": {"services": []map[string]any{{"name": "localhost/review-demo/busybox", "entrypoint": []string{evil}}}},
		"a service's variable":   {"services": []map[string]any{{"name": "localhost/review-demo/busybox", "entrypoint": []string{"sleep", "9"}, "variables": []map[string]any{{"key": "X", "value": evil}}}}},
		"the ref":                {"git_info": map[string]any{"ref": evil, "sha": strings.Repeat("1", 40)}},
		"the commit":             {"git_info": map[string]any{"ref": "main", "sha": evil}},
		"the project":            {"job_info": map[string]any{"name": "job", "project_id": 7, "project_full_path": evil}},
	} {
		t.Run(what, func(t *testing.T) {
			j.t, j.response = t, more
			got := j.stage("prepare")
			printable(t, got.stdout+got.stderr)
			t.Logf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		})
	}
	j.response = nil
	for what, vars := range map[string][]string{
		"the environment": {"CI_ENVIRONMENT_NAME=review/" + evil, "CI_PROJECT_ID=7"},
		"the port":        {"CI_ENVIRONMENT_NAME=review/x", "CI_PROJECT_ID=7", "REVIEW_PORT=" + evil},
		"the file":        {"CI_ENVIRONMENT_NAME=review/x", "CI_PROJECT_ID=7", "REVIEW_CONTAINERFILE=" + evil},
		"a variable":      {"CI_ENVIRONMENT_NAME=review/x", "CI_PROJECT_ID=7", "REVIEW_ENV_" + evil + "=1"},
		"the logins":      {"CI_PROJECT_ID=7", "DOCKER_AUTH_CONFIG={" + evil},
		"a registry":      {"CI_PROJECT_ID=7", fmt.Sprintf(`DOCKER_AUTH_CONFIG={"auths": {%s: {"auth": "!"}}}`, quoted(t, evil))},
	} {
		t.Run(what, func(t *testing.T) {
			j.t, j.vars = t, vars
			got := j.stage("prepare")
			printable(t, got.stdout+got.stderr)
			t.Logf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		})
	}
	j.t = t
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
