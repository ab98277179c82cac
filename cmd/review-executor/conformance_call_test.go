package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The tests of conformance are the facts of the custom executor's protocol, as
// docs/protocol.md lists them. They call the compiled program as gitlab-runner
// does: one process a stage, the leader of its process group, in the runner's
// private directory.

func TestConformance_LastTwoArgumentsOfRunAreScriptAndStage(t *testing.T) {
	j := newDriverJob(t).prepared()
	file := j.script("echo $((6 * 7))")
	for _, extra := range [][]string{nil, {"extra"}, {"--verbose"}, {"several", "more", "build_script"}, {"--", "--odd", "-x"}} {
		got := j.stage(append(append([]string{"run"}, extra...), file, "build_script")...).succeeded(t)
		if got.stdout != "42\n" {
			t.Errorf("with %q before: %q", extra, got.stdout)
		}
	}
	j.stage("run", file).exited(t, systemFailure, "run needs SCRIPT and STAGE")
	j.stage("run", "/no/such/script", "build_script").exited(t, systemFailure, "/no/such/script")
}

func TestConformance_PrivateDirectoryIsLeftAsItWas(t *testing.T) {
	j := newDriverJob(t)
	for _, stage := range []string{"config", "prepare"} {
		j.stage(stage).succeeded(t)
	}
	for _, stage := range []string{"prepare_script", "get_sources", "build_script", "cleanup_file_variables"} {
		j.run(stage, "echo >file").succeeded(t)
	}
	j.run("after_script", "exit 3").exited(t, buildFailure)
	j.stage("cleanup").succeeded(t)
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"exit-code", "response", "script."}; !slices.Equal(names, want) {
		t.Errorf("the runner's directory has %v, want %v", names, want)
	}
}

// TestConformance_PrivateDirectoryMayBeGone has the cleanup of a job whose
// directory the runner has removed already.
func TestConformance_PrivateDirectoryMayBeGone(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.environ()
	cmd := exec.Command("sh", "-c", `mkdir gone && cd gone && rmdir "$PWD" && exec "$0" "$@"`, program, "--config", host.Config(), "cleanup")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), append(j.environ(), "TMPDIR="+cmd.Dir+"/gone")...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	nothingLeft(t)
}

func TestConformance_ExitCodesAreThoseOfTheVariables(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, c := range []struct {
		build, system         string
		wantBuild, wantSystem int
	}{
		{"3", "4", 3, 4},
		{"255", "254", 255, 254},
		{"", "", 1, 1},   // they are not set
		{"0", "0", 1, 1}, // which would mean success
		{"256", "none", 1, 1},
	} {
		j.env = []string{"BUILD_FAILURE_EXIT_CODE=" + c.build, "SYSTEM_FAILURE_EXIT_CODE=" + c.system}
		j.run("build_script", "exit 77").exited(t, c.wantBuild)
		j.stage("run", "/no/such/script", "build_script").exited(t, c.wantSystem)
	}
}

func TestConformance_VariablesOf100KiBAreNoProblem(t *testing.T) {
	j := newDriverJob(t)
	j.image = busybox
	j.vars = append(j.vars, "BIG="+strings.Repeat("x", 100<<10))
	j.public = []string{"PUBLIC=" + strings.Repeat("y", 100<<10)}
	j.response = idleService
	j.stage("config").succeeded(t)
	j.prepared()
	if got := j.run("build_script", "echo "+strings.Repeat("z", 100<<10)).succeeded(t); len(got.stdout) != 100<<10+1 {
		t.Errorf("a command of 100 KiB wrote %d bytes", len(got.stdout))
	}
}

// TestConformance_HostsEnvironmentStaysThere has all of the runner's own in
// every stage, and nothing of it in a container.
func TestConformance_HostsEnvironmentStaysThere(t *testing.T) {
	j := newDriverJob(t)
	j.response = idleService
	j.vars = append(j.vars, "OF_THE_JOB=comes with the script alone")
	for _, name := range []string{"SECRET_OF_THE_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "ALL_PROXY", "FTP_PROXY", "SSL_CERT_FILE", "REGISTRY_AUTH"} {
		j.env = append(j.env, name+"=s3cret")
	}
	j.prepared()
	known := []string{"PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "TERM", "LANG", "container", "_", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
	for _, stage := range []string{"get_sources", "build_script"} {
		for _, line := range strings.Split(strings.TrimSpace(j.run(stage, "env; cat /proc/1/environ | tr '\\0' '\\n'").succeeded(t).stdout), "\n") {
			if name, _, _ := strings.Cut(line, "="); !slices.Contains(known, name) {
				t.Errorf("%s sees %s", stage, line)
			}
		}
	}
	name := fmt.Sprintf("review-job-%d", j.id)
	if all := host.Podman(t, "inspect", name, name+"-helper", name+"-service-0"); strings.Contains(all, "s3cret") {
		t.Error("it is in the description of a container")
	}
}

// TestConformance_IdentityIsNotTheAuthorsToSet deploys and stops with every
// variable overridden that could lead to another job, project or environment.
func TestConformance_IdentityIsNotTheAuthorsToSet(t *testing.T) {
	hostile := []string{
		"CI_JOB_ID=666", "CI_COMMIT_REF_SLUG=evil", "CI_ENVIRONMENT_NAME=review/evil", "CI_ENVIRONMENT_SLUG=evil", "CI_PROJECT_PATH=evil/shop", "CI_PROJECT_ID=666",
		"CI_COMMIT_SHA=" + strings.Repeat("6", 40), "CI_PROJECT_DIR=/etc", "CI_CONCURRENT_ID=666", "REVIEW_EXECUTOR_JOB=666",
	}
	j := newDriverJob(t)
	t.Cleanup(func() { stopApps(t) })
	j.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"}, append(hostile, "CI_ENVIRONMENT_ACTION=stop")...)
	j.prepared()
	if names := strings.Fields(host.Podman(t, "ps", "--format", "{{.Names}}")); len(names) != 2 || !slices.Contains(names, fmt.Sprintf("review-job-%d", j.id)) || !slices.Contains(names, fmt.Sprintf("review-job-%d-helper", j.id)) {
		t.Errorf("containers %v", names)
	}
	j.checkout(page("hello")).succeeded(t)
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
	stop := j.another()
	stop.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=stop", "CI_PROJECT_ID=7"}, append(hostile, "CI_ENVIRONMENT_ACTION=start")...)
	stop.prepared().run("build_script", "true").succeeded(t).says(t, "Stopped review app login")
}

func stopApps(t *testing.T) {
	t.Helper()
	for _, app := range appNames(t) {
		runProgram(t, "stop", app).succeeded(t)
	}
}

// deploying makes the job one that deploys to review/login.
func (j *driverJob) deploying() *driverJob {
	j.vars = []string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"}
	return j
}

// checkout has get_sources put the files into the project's directory.
func (j *driverJob) checkout(files map[string]string) result {
	j.t.Helper()
	script := "mkdir -p /builds/group/shop\ncd /builds/group/shop\n"
	for name, text := range files {
		script += "cat >" + name + " <<'END'\n" + text + "END\n"
	}
	return j.run("get_sources", script)
}
