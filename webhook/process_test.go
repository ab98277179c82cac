package webhook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"gitlab.com/review-executor/review-executor/review"
)

// processVariable turns the test's own binary into a program that serves in this
// directory, on the socket that it is started with.
const processVariable = "REVIEW_TEST_WEBHOOK_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(processVariable); dir != "" {
		if err := serveProcess(dir); err != nil {
			fmt.Fprintln(os.Stderr, review.AsFailure(err).Text())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveProcess(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listeners, err := activation.Listeners()
	if err != nil {
		return err
	}
	idle, err := time.ParseDuration(os.Getenv("IDLE"))
	if err != nil {
		return err
	}
	return Serve(ctx, Options{
		Dir: filepath.Join(dir, "queue"), Secrets: Secrets{GitLab: token}, Apps: logbook(filepath.Join(dir, "told")), Log: silent(),
		Listeners: listeners, Idle: idle, Ready: func() { fmt.Println("ready") },
	})
}

// logbook is a file in which each event is written for each app that its branch
// names. An app called "slow" takes until there is a file of that name.
type logbook string

func (l logbook) Affected(_ context.Context, event review.Event) ([]string, error) {
	return strings.Split(event.Branch, "+"), nil
}

func (l logbook) Follow(ctx context.Context, event review.Event, app string) error {
	l.write("begin " + app + " " + event.ID)
	for app == "slow" {
		if _, err := os.Stat(filepath.Join(filepath.Dir(string(l)), "slow")); err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(time.Millisecond)
	return l.write("end " + app + " " + event.ID)
}

func (l logbook) write(line string) error {
	f, err := os.OpenFile(string(l), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}

// process is a program that serves.
type process struct {
	*testing.T
	*exec.Cmd
	stderr bytes.Buffer
}

// socket is what systemd would keep: it lives on when the program does not.
func socket(t *testing.T) (file *os.File, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err = l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, "http://" + l.Addr().String()
}

// starts starts the program with the socket, and waits until it is ready, or for its
// end.
func starts(t *testing.T, dir string, socket *os.File, idle string) *process {
	t.Helper()
	p := &process{T: t, Cmd: exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])}
	p.Env = append(os.Environ(), processVariable+"="+dir, "IDLE="+idle, "LISTEN_FDS=1")
	p.ExtraFiles = []*os.File{socket}
	p.Stderr = &p.stderr
	stdout, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	_, _ = bufio.NewReader(stdout).ReadString('\n')
	return p
}

// exits waits for the program's end, with this exit code.
func (p *process) exits(code int) {
	p.Helper()
	_ = p.Wait()
	if p.ProcessState.ExitCode() != code {
		p.Errorf("it ends with %v\n%s", p.ProcessState, &p.stderr)
	}
}

// post sends an event about these apps and returns the answer's first line, or "".
func post(url, id string, apps ...string) string {
	body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/%s","after":"0000","project_id":7,"project":{"path_with_namespace":"group/shop"}}`, strings.Join(apps, "+"))
	r, err := http.NewRequest(http.MethodPost, url+"/gitlab", strings.NewReader(body))
	if err != nil {
		return ""
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Gitlab-Token", token)
	r.Header.Set("Idempotency-Key", id)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	line, _ := bufio.NewReader(resp.Body).ReadString('\n')
	if resp.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(line)
}

// told counts the lines of the logbook.
func told(t *testing.T, dir string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "told"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		lines[strings.Replace(line, "gitlab:", "", 1)]++
	}
	return lines
}

// TestProcess_AKillLosesNothing kills the program in the middle of a burst, twice,
// and starts it again on the same socket. Whatever was answered is done for each of
// its apps, and again only what was being done when it was killed.
func TestProcess_AKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	file, url := socket(t)
	var (
		mu       sync.Mutex
		answered []string
		senders  sync.WaitGroup
		count    atomic.Int64
	)
	const events = 600
	next := make(chan int)
	go func() {
		for i := range events {
			next <- i
		}
		close(next)
	}()
	p := starts(t, dir, file, "0s")
	for range 16 {
		senders.Go(func() {
			for i := range next {
				id := fmt.Sprintf("e%d", i)
				for post(url, id, fmt.Sprintf("app%d", i%7), "all") == "" { // as a sender does that sends again
					if t.Context().Err() != nil {
						return
					}
				}
				mu.Lock()
				answered = append(answered, id)
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	for _, after := range []int64{150, 350} {
		for count.Load() < after {
			time.Sleep(time.Millisecond)
		}
		_ = p.Process.Kill()
		p.exits(-1)
		p = starts(t, dir, file, "0s")
	}
	senders.Wait()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.exits(0)
	starts(t, dir, file, "200ms").exits(0) // when nothing is left

	lines, repeated := told(t, dir), 0
	for _, id := range answered {
		var i int
		fmt.Sscanf(id, "e%d", &i)
		for _, app := range []string{fmt.Sprintf("app%d", i%7), "all"} {
			n := lines["end "+app+" "+id]
			if n == 0 {
				t.Errorf("%s was answered and not done for %s", id, app)
			}
			repeated += max(0, n-1)
		}
	}
	if len(answered) != events || repeated > 2*8 { // two kills, eight lanes
		t.Errorf("%d were answered, and %d were done again", len(answered), repeated)
	}
	for _, sub := range []string{"events", "failed"} {
		if left, _ := os.ReadDir(filepath.Join(dir, "queue", sub)); len(left) > 0 {
			t.Errorf("in %s there are %d files", sub, len(left))
		}
	}
	t.Logf("%d of %d were done again", repeated, 2*events)
}

// TestProcess_WhatWasAnsweredIsKnownAfterAKill: each answer was true.
func TestProcess_WhatWasAnsweredIsKnownAfterAKill(t *testing.T) {
	dir := t.TempDir()
	file, url := socket(t)
	p := starts(t, dir, file, "0s")
	for i := range 20 {
		if got := post(url, fmt.Sprintf("e%d", i), "slow"); got != "queued" {
			t.Fatalf("it answers %q", got)
		}
	}
	_ = p.Process.Kill()
	p.exits(-1)
	starts(t, dir, file, "0s")
	for i := range 20 {
		if got := post(url, fmt.Sprintf("e%d", i), "slow"); got != "known already" {
			t.Errorf("event %d: it answers %q", i, got)
		}
	}
}

// TestProcess_LeavesWhenIdle, but not while there is something to do; then the socket
// starts it again.
func TestProcess_LeavesWhenIdle(t *testing.T) {
	dir := t.TempDir()
	file, url := socket(t)
	p := starts(t, dir, file, "300ms")
	if got := post(url, "e1", "slow"); got != "queued" {
		t.Fatalf("it answers %q", got)
	}
	time.Sleep(time.Second)
	if err := p.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("it has left while there was something to do: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "slow"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.exits(0)

	answer := make(chan string, 1)
	go func() { answer <- post(url, "e2", "a") }() // waits in the socket
	starts(t, dir, file, "300ms").exits(0)
	if got := <-answer; got != "queued" {
		t.Errorf("it answers %q", got)
	}
	if lines := told(t, dir); lines["end slow e1"] != 1 || lines["end a e2"] != 1 {
		t.Errorf("done are %v", lines)
	}
}

// TestProcess_SIGTERM: what is being done may end, and the rest is done by the next.
func TestProcess_SIGTERM(t *testing.T) {
	dir := t.TempDir()
	file, url := socket(t)
	p := starts(t, dir, file, "0s")
	for _, id := range []string{"e1", "e2"} {
		if got := post(url, id, "slow"); got != "queued" {
			t.Fatalf("it answers %q", got)
		}
	}
	for told(t, dir)["begin slow e1"] == 0 {
		time.Sleep(time.Millisecond)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	time.Sleep(100 * time.Millisecond)
	if err := os.WriteFile(filepath.Join(dir, "slow"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.exits(0)
	if lines := told(t, dir); lines["end slow e1"] != 1 || lines["begin slow e2"] != 0 {
		t.Errorf("done are %v", lines)
	}
	starts(t, dir, file, "200ms").exits(0)
	if lines := told(t, dir); lines["begin slow e1"] != 1 || lines["end slow e2"] != 1 {
		t.Errorf("done are %v", lines)
	}
}

func TestProcess_TheSecondSaysSo(t *testing.T) {
	dir := t.TempDir()
	file, url := socket(t)
	starts(t, dir, file, "0s")
	second := starts(t, dir, file, "0s")
	second.exits(1)
	if !strings.Contains(second.stderr.String(), "another process is receiving webhooks") {
		t.Errorf("it says %s", &second.stderr)
	}
	if got := post(url, "e1", "a"); got != "queued" {
		t.Errorf("the first answers %q", got)
	}
}

func TestServe_NeedsASecret(t *testing.T) {
	err := Serve(t.Context(), Options{Dir: t.TempDir(), Log: silent(), Apps: logbook("")})
	if err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("it says %v", err)
	}
}

func TestConfig_Problems(t *testing.T) {
	if problems := Defaults().Problems(); len(problems) > 0 {
		t.Errorf("the defaults have %v", problems)
	}
	bad := Config{Listen: ":8787", Idle: time.Millisecond, SecretFile: "x", GitHubSecretFile: "y"}
	var keys []string
	for _, problem := range bad.Problems() {
		key, _, _ := strings.Cut(problem.Error(), ":")
		keys = append(keys, key)
	}
	if want := []string{"webhook.listen", "webhook.idle", "webhook.secret_file", "webhook.github_secret_file"}; !slices.Equal(keys, want) {
		t.Errorf("the problems are of %v", keys)
	}
	for listen, ok := range map[string]bool{"127.0.0.1:8787": true, "[::1]:1": true, "0.0.0.0:80": true, "": false, "127.0.0.1": false, "127.0.0.1:0": false, "127.0.0.1:x": false, "127.0.0.1:70000": false} {
		c := Defaults()
		c.Listen = listen
		if got := len(c.Problems()) == 0; got != ok {
			t.Errorf("listen = %q is all right: %v", listen, got)
		}
	}
}
