package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvFile_ReachesTheAppAndNothingElse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.env")
	content := "# the payment provider\n\nPAYMENT_KEY=h0st s3cret=x\nGREETING=from the host\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "config.toml")
	config = append(config, "\n[[projects]]\npath = \"group/shop\"\nenv_file = \""+file+"\"\n"...)
	if err := os.WriteFile(changed, config, 0o600); err != nil {
		t.Fatal(err)
	}
	j := newDriverJob(t).deploying()
	t.Cleanup(func() { stopApps(t) })
	j.config = changed
	j.vars = append(j.vars, "REVIEW_ENV_GREETING=from the project")
	files := page("environment")
	files["Containerfile"] = "FROM " + busybox + "\nEXPOSE 8080\nCMD [\"sh\", \"-c\", \"mkdir /site; echo $GREETING/$PAYMENT_KEY >/site/index.html; exec httpd -f -p 8080 -h /site\"]\nSTOPSIGNAL SIGKILL\n"
	j.prepared().checkout(files).succeeded(t)
	got := j.run("build_script", "true").succeeded(t)
	if answer := host.Get(t, "login.review.localhost", "/", true); answer.Body != "from the host/h0st s3cret=x\n" {
		t.Errorf("the app has %q", answer.Body)
	}
	if strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("the job log tells it:\n%s", got.stdout)
	}
	record, err := os.ReadFile(filepath.Join(host.Dir, "state", "apps", "login.json"))
	if err != nil || strings.Contains(string(record), "s3cret") {
		t.Errorf("%v, the record tells it:\n%s", err, record)
	}
	if labels := host.Podman(t, "inspect", "--format", "{{.Config.Labels}} {{.Config.Cmd}}", "review-app-login-3f2c1a9-"+j.name()[len("review-job-"):]); strings.Contains(labels, "s3cret") {
		t.Errorf("the container's labels tell it: %s", labels)
	}

	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	next := j.another().deploying()
	next.config = changed
	next.prepared().checkout(files).succeeded(t)
	next.run("build_script", "true").exited(t, systemFailure, "the host's variables for project group/shop cannot be used", "may be read by others (mode 0640); chmod 600 it", "not your branch")
}

func TestParseEnv(t *testing.T) {
	got, err := parseEnv([]byte("A=1\r\n\n  # B=2\nC= x=y \nD=\n"))
	if diff := cmp.Diff(map[string]string{"A": "1", "C": " x=y ", "D": ""}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	_, err = parseEnv([]byte("A B=s3cret\nnothing s3cret\n=s3cret\nPORT=s3cret\nX=\x00s3cret\nGOOD=1\n"))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	for n, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, "line "+string(rune('1'+n))+": ") {
			t.Errorf("problem %d: %s", n, line)
		}
	}
}

// FuzzParseEnv: whatever is accepted can be an environment.
func FuzzParseEnv(f *testing.F) {
	f.Add([]byte("A=1\n#\nB=x=y\r\n"))
	f.Add([]byte("PORT=1\n\x00=2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnv(data)
		if err != nil {
			return
		}
		for name, value := range env {
			if name == "" || name == "PORT" || strings.ContainsAny(name, "= \t\x00\"") || strings.ContainsAny(value, "\x00\n") {
				t.Errorf("%q=%q", name, value)
			}
		}
	})
}
