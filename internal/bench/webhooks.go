package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	webhookBurst   = 1000
	webhookSenders = 25 // GitLab's Sidekiq has as many threads, of which hooks are some
	webhookApps    = 100
	webhookSecret  = "bench-secret"
)

// webhooks sends a burst of events of as many deleted branches, each from its own
// connection, to the program behind the socket that systemd would have. The event
// that has the program started is told apart. The first burst is measured; in the
// second the program is killed in the middle, and started again on the same socket.
func (b *bench) webhooks() []figure {
	b.record(webhookApps)
	config := b.webhookConfig()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if b.failed(err) {
		return nil
	}
	defer func() { _ = listener.Close() }()
	burst := &burst{url: "http://" + listener.Addr().String() + "/gitlab"}

	start := time.Now()
	process := b.serve(config, listener)
	burst.one("first", 0)
	fmt.Fprintf(os.Stderr, "a webhook that has the program started: %.1f ms\n", float64(time.Since(start).Microseconds())/1000)
	burst.send("calm", nil)
	p99 := burst.percentile(99)
	fmt.Fprintf(os.Stderr, "%d webhooks from %d senders: median %.1f ms, 99%% %.1f ms, most %.1f ms\n",
		webhookBurst, webhookSenders, burst.percentile(50), p99, burst.percentile(100))

	burst.send("killed", func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		process = b.serve(config, listener)
	})
	unknown := burst.unknown()
	b.drained()
	b.failed(process.Process.Signal(syscall.SIGTERM))
	b.failed(process.Wait())
	return []figure{
		{Name: "lifecycle.webhook_p99_ms", Value: p99, Unit: "ms", Goal: 50},
		{Name: "lifecycle.webhooks_lost", Value: float64(unknown), Goal: 0},
	}
}

// webhookConfig is the host's configuration with a secret.
func (b *bench) webhookConfig() string {
	secret, config := filepath.Join(b.host.Dir, "secret"), filepath.Join(b.host.Dir, "webhook.toml")
	b.failed(os.WriteFile(secret, []byte(webhookSecret), 0o600))
	text, err := os.ReadFile(b.host.Config())
	b.failed(err)
	b.failed(os.WriteFile(config, append(text, "\n[webhook]\nsecret_file = \""+secret+"\"\nidle = \"1h\"\n"...), 0o600))
	return config
}

// serve starts the program with the socket, as systemd does.
func (b *bench) serve(config string, socket net.Listener) *exec.Cmd {
	file, err := socket.(*net.TCPListener).File()
	if b.failed(err) {
		return nil
	}
	defer file.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, b.program, "--config", config, "serve")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{file}
	b.failed(cmd.Start())
	return cmd
}

// drained waits until all events are done, and none was set aside.
func (b *bench) drained() {
	queue := filepath.Join(b.host.Dir, "state", "queue")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left, err := os.ReadDir(filepath.Join(queue, "events"))
		if b.failed(err) {
			return
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			b.failed(fmt.Errorf("%d events are not done", len(left)))
			return
		}
	}
	failed, err := os.ReadDir(filepath.Join(queue, "failed"))
	if !b.failed(err) && len(failed) > 0 {
		b.failed(fmt.Errorf("%d events were set aside", len(failed)))
	}
}

// burst is many events at once.
type burst struct {
	url      string
	mu       sync.Mutex
	times    []float64 // milliseconds, of those that were answered the first time
	answered []string  // IDs
}

// send sends the events of this name, each until it is answered, and calls middle
// when half of them are.
func (s *burst) send(name string, middle func()) {
	s.times = nil
	next := make(chan int)
	var (
		senders sync.WaitGroup
		half    atomic.Int64
		killed  sync.WaitGroup
	)
	for range webhookSenders {
		senders.Go(func() {
			for i := range next {
				s.one(fmt.Sprintf("%s-%d", name, i), i)
				if half.Add(1) == webhookBurst/2 && middle != nil {
					killed.Go(middle)
				}
			}
		})
	}
	for i := range webhookBurst {
		next <- i
	}
	close(next)
	senders.Wait()
	killed.Wait()
}

func (s *burst) one(id string, branch int) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		start := time.Now()
		if _, err := s.post(id, branch); err == nil {
			s.mu.Lock()
			s.times = append(s.times, float64(time.Since(start).Microseconds())/1000)
			s.answered = append(s.answered, id)
			s.mu.Unlock()
			return
		}
	}
}

// unknown counts the answered events that the program takes for new ones.
func (s *burst) unknown() int {
	n := 2*webhookBurst + 1 - len(s.answered)
	for i, id := range s.answered {
		if answer, err := s.post(id, i); err != nil || answer != "known already" {
			n++
		}
	}
	return n
}

// post sends one event, from a connection of its own.
func (s *burst) post(id string, branch int) (string, error) {
	body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/branch-%d","after":"%040d","project_id":%d,"project":{"path_with_namespace":"group/shop"}}`, branch, 0, branch%webhookApps)
	r, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Gitlab-Token": {webhookSecret}, "Idempotency-Key": {id}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	return strings.TrimSpace(line), err
}

// percentile of the answers' times.
func (s *burst) percentile(p int) float64 {
	slices.Sort(s.times)
	if len(s.times) == 0 {
		return 0
	}
	return s.times[(len(s.times)-1)*p/100]
}
