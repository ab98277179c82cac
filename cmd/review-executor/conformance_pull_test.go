package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
)

// newRegistryJob is a job whose image is in a registry, and goes with the job.
func newRegistryJob(t *testing.T) (*driverJob, *registrytest.Registry) {
	t.Helper()
	registry := registrytest.New(t)
	registry.Push(t, "shop:1", registrytest.Image{})
	j := newDriverJob(t)
	j.image = registry.Name("shop:1")
	j.after = [][]string{{"rmi", "--all", "--force"}}
	return j, registry
}

func (j *driverJob) policies(config string, policies ...string) {
	j.config = configWith(j.t, "[jobs]", "[jobs]\n"+config)
	j.response = object{"image": object{"name": j.image, "pull_policy": policies}}
}

func TestConformance_PullPolicyOfTheJobIsObeyedWhereAllowed(t *testing.T) {
	j, registry := newRegistryJob(t)
	const allowed = `pull_policy = ["always"]` + "\n" + `allowed_pull_policies = ["always", "if-not-present", "never"]`
	j.policies(allowed, "never")
	j.stage("prepare").exited(t, buildFailure, "shop:1", "is not on this host")
	j.policies(allowed, "never", "if-not-present")
	j.stage("prepare").succeeded(t).says(t, "if-not-present")
	asked := registry.Asked("shop")
	j.prepared()
	if got := registry.Asked("shop"); asked == 0 || got != asked {
		t.Errorf("if-not-present: asked %d times, then %d", asked, got)
	}
	j.policies(allowed, "always")
	j.prepared()
	if got := registry.Asked("shop"); got == asked {
		t.Error("always: the registry was not asked")
	}
	j.run("build_script", "true").succeeded(t)
}

func TestConformance_PullPolicyThatIsNotAllowedIsABuildFailure(t *testing.T) {
	j, registry := newRegistryJob(t)
	j.policies(`pull_policy = ["always"]`, "if-not-present", "never")
	j.stage("prepare").exited(t, buildFailure, "asks for pull policy if-not-present, never; this host allows always", "jobs.allowed_pull_policies")
	if got := registry.Asked("shop"); got != 0 {
		t.Errorf("the registry was asked %d times", got)
	}
	j.policies(`pull_policy = ["always"]`, "never", "always") // what is allowed of it
	j.prepared()
}

func TestConformance_PullIsTriedThreeTimesWhileTheRegistryFails(t *testing.T) {
	j, registry := newRegistryJob(t)
	registry.Fail(http.StatusServiceUnavailable, 2, "overloaded")
	j.prepared()
	j.stage("cleanup").succeeded(t)
	registry.Fail(http.StatusServiceUnavailable, 1000, "overloaded")
	j.stage("prepare").exited(t, systemFailure, "shop:1")
}

func TestConformance_ImageThatTheRegistryLacksIsABuildFailure(t *testing.T) {
	j, registry := newRegistryJob(t)
	j.image = registry.Name("shop:2")
	j.stage("prepare").exited(t, buildFailure, "shop:2")
}

func TestConformance_ShortNameIsABuildFailureThatSaysSo(t *testing.T) {
	j := newDriverJob(t)
	j.image = "no-such-short-name"
	j.config = configWith(t, "[jobs]", "[jobs]\npull_policy = [\"never\"]")
	j.stage("prepare").exited(t, buildFailure, "no-such-short-name")
}

func dockerAuth(registry *registrytest.Registry, user, password string) string {
	return `{"auths": {"` + registry.Addr + `": {"auth": "` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"}}}`
}

func TestConformance_RegistryIsToldWhoTheJobIs(t *testing.T) {
	j, registry := newRegistryJob(t)
	registry.Protect("ada", "s3cret")
	j.env = []string{"HOME=" + t.TempDir(), "XDG_RUNTIME_DIR=", "REGISTRY_AUTH_FILE="}
	credentials := func(kind, password string) object {
		return object{"credentials": []object{{"type": kind, "url": registry.Addr, "username": "ada", "password": password}}}
	}
	if got := j.stage("prepare").exited(t, buildFailure, "shop:1"); strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	j.response = credentials("registry", "s3cret")
	j.prepared()
	for what, response := range map[string]object{"a wrong password": credentials("registry", "wr0ng"), "credentials for something else": credentials("artifacts", "s3cret")} {
		j.response = response
		if got := j.stage("prepare"); got.code != buildFailure || strings.Contains(got.stdout+got.stderr, "wr0ng") {
			t.Errorf("%s: exit code %d\n%s%s", what, got.code, got.stdout, got.stderr)
		}
	}
	j.vars = append(j.vars, "DOCKER_AUTH_CONFIG="+dockerAuth(registry, "ada", "s3cret")) // wins over the credentials
	j.prepared()
}

func TestConformance_CredentialHelpersAreNotRun(t *testing.T) {
	j, registry := newRegistryJob(t)
	j.vars = append(j.vars, `DOCKER_AUTH_CONFIG={"credsStore": "evil", "credHelpers": {"`+registry.Addr+`": "evil"}}`)
	j.stage("prepare").succeeded(t).says(t, "WARNING: credsStore and credHelpers of DOCKER_AUTH_CONFIG are ignored")
}

func TestConformance_DefaultImageIsTheHosts(t *testing.T) {
	j := newDriverJob(t)
	j.config = configWith(t, `image = "localhost/review-demo/debian"`+"\nhelper", `image = "`+busybox+`"`+"\nhelper")
	if got := j.prepared().run("build_script", whereami).succeeded(t); got.stdout != "job\n" {
		t.Errorf("%q", got.stdout)
	}
}

func TestConformance_VariablesInTheImagesNameAreExpanded(t *testing.T) {
	j := newDriverJob(t)
	j.vars = append(j.vars, "DIR=review-demo", "NAME=busybox")
	j.image = "localhost/$DIR/${NAME}:latest"
	j.prepared().run("build_script", "true").succeeded(t)
}
