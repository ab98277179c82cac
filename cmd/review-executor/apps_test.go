package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// These tests have an app with each of what docs/apps.md tells of.

const redis = "localhost/review-demo/redis"

// names lists the containers of the host with that role.
func names(t *testing.T, role string) []string {
	t.Helper()
	return strings.Fields(host.Podman(t, "ps", "--all", "--filter", "label=review-executor.role="+role, "--format", "{{.Names}}"))
}

func serves(t *testing.T, app, path, want string) {
	t.Helper()
	if got := host.Get(t, app+".review.localhost", path, true); got.Status != 200 || !strings.Contains(got.Body, want) {
		t.Errorf("%s answers %d, without %q:\n%s", path, got.Status, want, got.Body)
	}
}

func TestApp_StaticSiteNeedsNoContainer(t *testing.T) {
	p := newProject(t, map[string]string{"src.html": "first\n"})
	args := []string{"--variable", "REVIEW_STATIC=public", "--script", "mkdir public", "--script", "cp src.html public/index.html"}
	p.try("main", args...).succeeded(t).says(t, "files      1 of public")
	serves(t, "main", "/", "first")
	if got := host.Get(t, "main.review.localhost", "/", false); got.Status != 401 {
		t.Errorf("without the password it answers %d", got.Status)
	}
	if all := names(t, "app"); len(all) > 0 {
		t.Errorf("containers %v", all)
	}
	p.commit(map[string]string{"src.html": "second\n"})
	p.try("main", args...).succeeded(t)
	serves(t, "main", "/", "second")
	runProgram(t, "rollback", "main").succeeded(t)
	serves(t, "main", "/", "first")
}

func TestApp_BecomesStaticAndBack(t *testing.T) {
	p := newProject(t, page("in a container"))
	p.try("main", "--service", redis+"=redis").succeeded(t)
	p.try("main", "--variable", "REVIEW_STATIC=.").succeeded(t)
	serves(t, "main", "/", "in a container")
	if all := append(names(t, "app"), names(t, "companion")...); len(all) > 0 {
		t.Errorf("containers %v", all)
	}
	runProgram(t, "rollback", "main").succeeded(t)
	serves(t, "main", "/", "commit") // which only the container adds
	if all := names(t, "companion"); len(all) != 1 {
		t.Errorf("companions %v", all)
	}
}

func TestApp_PrebuiltImageWithACommand(t *testing.T) {
	p := newProject(t, map[string]string{"README": "no Containerfile\n"})
	p.try("main", "--variable", "REVIEW_IMAGE="+busybox, "--variable", "REVIEW_PORT=8080",
		"--variable", `REVIEW_COMMAND=["sh", "-c", "mkdir /site; echo \"in $PWD, says $GREETING\" >/site/index.html; trap exit TERM; httpd -f -p 8080 -h /site & wait"]`,
		"--variable", "REVIEW_ENV_GREETING=hello",
	).succeeded(t)
	serves(t, "main", "/", "in /, says hello")
}

func TestApp_PrebuiltImageMustBeAllowed(t *testing.T) {
	p := newProject(t, map[string]string{"README": "no Containerfile\n"})
	config := configWith(t, "[jobs]", "[policy]\nimages = [\"localhost/review-demo/debian\"]\n\n[jobs]")
	runWith(t, nil, "--config", config, "try", p.dir, "--variable", "REVIEW_IMAGE="+busybox).
		failed(t, "image "+busybox+" may not be used on this host", "policy.images")
}

func TestApp_LimitsAndBuildArguments(t *testing.T) {
	needsLimits(t)
	files := page("limited")
	files["Containerfile"] = strings.Replace(files["Containerfile"], "EXPOSE", "ARG COLOUR=none\nRUN echo \"colour $COLOUR\" >>/site/index.html\nEXPOSE", 1)
	p := newProject(t, files)
	p.try("main", "--variable", "REVIEW_BUILD_ARG_COLOUR=red and blue", "--variable", "REVIEW_MEMORY=64MiB", "--variable", "REVIEW_CPUS=0.5").succeeded(t)
	serves(t, "main", "/", "colour red and blue")
	app := names(t, "app")[0]
	if os.Getuid() == 0 { // without root, not every host can limit
		if got := host.Podman(t, "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}}/{{.HostConfig.CpuPeriod}}", app); got != "67108864 50000/100000" {
			t.Errorf("limits %s", got)
		}
	}
	p.try("main", "--variable", "REVIEW_MEMORY=64GiB", "--variable", "REVIEW_CPUS=100").
		failed(t, "REVIEW_MEMORY is 64", "REVIEW_CPUS is 100", "nothing was changed")
}

// inRedis is a line of a job's script in the language of Redis.
func inRedis(command string) string {
	return `printf '` + command + `\r\nquit\r\n' | nc redis 6379`
}

func TestApp_ChangedCompanionIsReplacedOnItsVolume(t *testing.T) {
	p := newProject(t, page("with a companion"))
	args := []string{"--image", busybox, "--service", redis + "=redis"}
	p.try("main", append(args, "--script", inRedis("set mark kept"))...).succeeded(t).says(t, "+OK")
	before := names(t, "companion")

	p.try("main", append(args, "--script", inRedis("get mark"))...).succeeded(t).says(t, "kept")
	if now := names(t, "companion"); len(now) != 1 || now[0] != before[0] {
		t.Errorf("unchanged, but %v, then %v", before, now)
	}

	args = append(args, "--variable", "MODE=other") // the companion's, too
	p.try("main", append(args, "--script", inRedis("get mark"))...).succeeded(t).says(t, "kept")
	if now := names(t, "companion"); len(now) != 1 || now[0] == before[0] {
		t.Errorf("changed, but %v, then %v", before, now)
	}

	p.try("main").succeeded(t)
	if now := names(t, "companion"); len(now) > 0 {
		t.Errorf("nobody wants %v", now)
	}
}

func TestApp_FailedScriptLeavesTheCompanionsAsTheyWere(t *testing.T) {
	p := newProject(t, page("with a companion"))
	args := []string{"--image", busybox, "--service", redis + "=redis"}
	p.try("main", append(args, "--script", "false")...).failed(t)
	if left := host.Leftovers(t); len(left) > 0 {
		t.Errorf("left by a job that never deployed:\n%s", strings.Join(left, "\n"))
	}
	p.try("main", append(args, "--script", inRedis("set mark kept"))...).succeeded(t)
	p.try("main", append(args, "--variable", "MODE=other", "--script", "false")...).failed(t)
	serves(t, "main", "/", "with a companion")
	companions := names(t, "companion")
	if len(companions) != 1 {
		t.Fatalf("companions %v", companions)
	}
	if env := host.Podman(t, "exec", companions[0], "env"); strings.Contains(env, "MODE=") {
		t.Errorf("the companion of the failed job is there:\n%s", env)
	}
	if got := host.Podman(t, "exec", companions[0], "redis-cli", "get", "mark"); got != "kept" {
		t.Errorf("its data is %q", got)
	}
}

func TestApp_VolumesKeepWhatTheImageAndTheReleasesWrote(t *testing.T) {
	files := map[string]string{"Containerfile": "FROM " + busybox + "\nRUN mkdir -p /site && echo of the image >/site/index.html && chown -R 1000:1000 /site\nUSER 1000\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n" +
		`CMD ["httpd", "-f", "-p", "8080", "-h", "/site"]` + "\n"}
	p := newProject(t, files)
	args := []string{"--variable", "REVIEW_VOLUMES=/site, /other", "--variable", "REVIEW_RELEASE_COMMAND=echo released >>/site/index.html && touch /other/file"}
	p.try("main", args...).succeeded(t)
	serves(t, "main", "/", "of the image\nreleased\n")
	p.try("main", args...).succeeded(t)
	serves(t, "main", "/", "of the image\nreleased\nreleased\n")
}

func TestApp_EnvFileOfTheAdministrator(t *testing.T) {
	files := page("with secrets")
	files["Containerfile"] = strings.Replace(files["Containerfile"], "echo commit", "echo token $TOKEN; echo token $TOKEN >>/site/index.html; echo commit", 1)
	p := newProject(t, files)
	env := filepath.Join(t.TempDir(), "shop.env")
	if err := os.WriteFile(env, []byte("# of the administrator\nTOKEN=from the host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := configWith(t, "[jobs]", "[[projects]]\npath = \"local/shop\"\nenv_file = \""+env+"\"\n\n[jobs]")
	runWith(t, nil, "--config", config, "try", p.dir, "--variable", "REVIEW_ENV_TOKEN=from the project").succeeded(t)
	serves(t, "main", "/", "token from the host")
	record, err := os.ReadFile(filepath.Join(host.Dir, "state", "apps", "main.json"))
	if err != nil || strings.Contains(string(record), "from the host") {
		t.Errorf("the record tells the secret (%v):\n%s", err, record)
	}
}
