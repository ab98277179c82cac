package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

const hookToken = "hook-s3cret-77"

// webhooks is a program that serves, and what it said.
type webhooks struct {
	*testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	client http.Client
	url    string
}

// servingConfig is the host's configuration with webhooks in it.
func servingConfig(t *testing.T, more string) string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(hookToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return configWith(t, "[jobs]", "[webhook]\nsecret_file = \""+secret+"\"\n"+more+"\n[jobs]")
}

// serve runs "serve" as before says, until the test ends or it leaves.
func serve(t *testing.T, config string, before ...string) *webhooks {
	t.Helper()
	args := slices.Concat(before, []string{program, "--config", config, "--verbose", "serve"})
	w := &webhooks{T: t, cmd: exec.Command(args[0], args[1:]...)}
	w.cmd.Stderr = &w.stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
		if err := os.RemoveAll(filepath.Join(host.Dir, "state", "queue")); err != nil {
			t.Error(err)
		}
	})
	return w
}

// post sends an event until somebody answers.
func (w *webhooks) post(token, id string, payload any) (status int, answer string) {
	w.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		w.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := http.NewRequest(http.MethodPost, w.url+"/gitlab", bytes.NewReader(body))
		if err != nil {
			w.Fatal(err)
		}
		for key, value := range map[string]string{"Content-Type": "application/json", "X-Gitlab-Token": token, "Idempotency-Key": id} {
			r.Header.Set(key, value)
		}
		resp, err := w.client.Do(r)
		if err != nil {
			if time.Now().After(deadline) {
				w.Fatalf("%v\n%s", err, &w.stderr)
			}
			continue
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			w.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(text))
	}
}

// exits waits for the end, with this exit code.
func (w *webhooks) exits(code int) {
	w.Helper()
	_ = w.cmd.Wait()
	if w.cmd.ProcessState.ExitCode() != code {
		w.Errorf("it ends with %v\n%s", w.cmd.ProcessState, &w.stderr)
	}
}

// deleted is the payload of a deleted branch of the record's project.
func deleted(record review.Record) any {
	return map[string]any{
		"object_kind": "push", "ref": "refs/heads/" + record.Live.Ref, "after": strings.Repeat("0", 40), "project_id": record.ProjectID,
		"project": map[string]any{"id": record.ProjectID, "path_with_namespace": record.Project},
	}
}

// TestServe_ADeletedBranchEndsItsApp starts the program as systemd does, for its
// socket, when an event comes. The app goes, another one stays, and so does not the
// program.
func TestServe_ADeletedBranchEndsItsApp(t *testing.T) {
	p := newProject(t, page("a branch"))
	p.try("main").succeeded(t)
	p.git("branch", "login")
	p.try("login").succeeded(t)
	socket := filepath.Join(t.TempDir(), "webhook.sock")
	w := serve(t, servingConfig(t, `idle = "1s"`), "systemd-socket-activate", "-l", socket)
	w.url = "http://webhooks"
	w.client.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}

	gone := recordOf(t, "login")
	if status, answer := w.post("wrong", "key-1", deleted(gone)); status != http.StatusUnauthorized {
		t.Errorf("it answers %d %q", status, answer)
	}
	if status, answer := w.post(hookToken, "key-1", deleted(gone)); status != http.StatusOK || answer != "queued" {
		t.Errorf("it answers %d %q", status, answer)
	}
	w.exits(0)
	if apps := appNames(t); len(apps) != 1 || apps[0] != "main" {
		t.Errorf("there are %v\n%s", apps, &w.stderr)
	}
	for _, want := range []string{`msg="event received" branch=login event="gitlab:key-1" kind="branch deleted" project=`, `msg="event done" app=login`, "request refused: unauthorized"} {
		if !strings.Contains(w.stderr.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, &w.stderr)
		}
	}
	if strings.Contains(w.stderr.String(), hookToken) {
		t.Errorf("the log tells the secret:\n%s", &w.stderr)
	}
}

func recordOf(t *testing.T, app string) review.Record {
	t.Helper()
	record, err := review.NewRecords(filepath.Join(host.Dir, "state")).Load(app)
	if err != nil || record == nil {
		t.Fatalf("the record of %s is %v: %v", app, record, err)
	}
	return *record
}

// TestServe_WithoutSystemd listens where the configuration says, and stays until it
// is told to leave.
func TestServe_WithoutSystemd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	config := servingConfig(t, fmt.Sprintf("listen = %q\nidle = \"1s\"", address))
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	hears := func(want string) {
		t.Helper()
		text := make([]byte, 100)
		_ = told.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := told.Read(text); err != nil || string(text[:n]) != want {
			t.Errorf("systemd is told %q, want %q: %v", text[:n], want, err)
		}
	}
	w := serve(t, config, "env", "NOTIFY_SOCKET="+told.LocalAddr().String())
	w.url = "http://" + address
	hears("READY=1")
	event := deleted(review.Record{App: review.App{ProjectID: 7, Project: "group/none"}, Live: review.Release{Ref: "x"}})
	if status, answer := w.post(hookToken, "key-1", event); status != http.StatusOK || answer != "queued" {
		t.Errorf("it answers %d %q", status, answer)
	}
	runWith(t, nil, "--config", config, "serve").failed(t, "webhook.listen", "address already in use")
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	hears("STOPPING=1")
	w.exits(0)
}

// TestServe_BehindApache forwards an event as docs/gitlab.md says.
func TestServe_BehindApache(t *testing.T) {
	forward := blocks(t, "docs/gitlab.md", "apache")
	if len(forward) != 1 {
		t.Fatalf("%d Apache configurations, want 1", len(forward))
	}
	dir, err := os.MkdirTemp(host.Dir, "hooks") // where Apache's user gets
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()

	socket := filepath.Join(dir, "webhook.sock")
	w := serve(t, servingConfig(t, `idle = "1s"`), "systemd-socket-activate", "-l", socket)
	w.url = "http://" + address + "/some/prefix"
	for os.Chmod(socket, 0o666) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	conf := "ServerName localhost\nListen " + address + "\nDefaultRuntimeDir " + dir + "\nPidFile " + dir + "/pid\nErrorLog " + dir + "/log\n"
	if os.Getuid() == 0 {
		conf += "User www-data\nGroup www-data\n"
	}
	for _, module := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		conf += "LoadModule " + module + "_module /usr/lib/apache2/modules/mod_" + module + ".so\n"
	}
	conf += strings.NewReplacer("/run/review-executor/webhook.sock", socket, `"/git`, `"/some/prefix/git`).Replace(forward[0])
	file := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	apache := exec.Command("/usr/sbin/apache2", "-f", file, "-D", "FOREGROUND")
	if err := apache.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = apache.Process.Signal(syscall.SIGTERM), apache.Wait() })

	event := deleted(review.Record{App: review.App{ProjectID: 7, Project: "group/none"}, Live: review.Release{Ref: "x"}})
	if status, answer := w.post(hookToken, "key-1", event); status != http.StatusOK || answer != "queued" {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Errorf("it answers %d %q\n%s", status, answer, log)
	}
	w.exits(0)
}

func TestServe_SaysWhatItLacks(t *testing.T) {
	runProgram(t, "serve").failed(t, "no webhook can be received", "neither webhook.secret_file nor webhook.github_secret_file is set", "docs/gitlab.md")
	secret := filepath.Join(t.TempDir(), "secret")
	for _, tc := range []struct {
		content string
		mode    os.FileMode
		says    string
	}{
		{"x", 0o640, "may be read by others"},
		{" \n", 0o600, "is empty"},
		{"whsec_!", 0o600, "whsec_"},
	} {
		if err := os.WriteFile(secret, []byte(tc.content), tc.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, tc.mode); err != nil {
			t.Fatal(err)
		}
		config := configWith(t, "[jobs]", "[webhook]\nsecret_file = \""+secret+"\"\n[jobs]")
		runWith(t, nil, "--config", config, "serve").failed(t, "no webhook can be received", tc.says)
	}
}
