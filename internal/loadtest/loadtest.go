// Package loadtest puts a review app under steady load and counts what fails:
// errors of the connection, statuses other than 200 and answers that are cut.
package loadtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Target is an app behind the front.
type Target struct {
	Address  string // of the front: 127.0.0.1:8080
	Host     string // of the app
	User     string
	Password string
}

// Load is requests on their way.
type Load struct {
	target Target
	stop   chan struct{}
	wait   sync.WaitGroup

	mu       sync.Mutex
	requests int
	failed   []string
}

// Each kind of visitor comes several times at once; each pauses between requests.
const (
	visitors = 4
	pause    = 25 * time.Millisecond
)

// Start begins to ask the target, with connections that are kept and with new
// ones, until Stop.
func Start(target Target) *Load {
	l := &Load{target: target, stop: make(chan struct{})}
	for range visitors {
		l.wait.Go(func() { l.repeat(newClient(true).get) })
		l.wait.Go(func() { l.repeat(newClient(false).post) })
	}
	return l
}

// Stop ends the load after the requests that are under way, streams and
// sockets included, and returns how many requests there were and what failed.
func (l *Load) Stop() (requests int, failed []string) {
	close(l.stop)
	l.wait.Wait()
	return l.requests, l.failed
}

// Stream begins an answer that takes so many seconds.
func (l *Load) Stream(seconds int) {
	l.wait.Go(func() { l.count(fmt.Sprintf("stream of %d s", seconds), stream(l.target, seconds)) })
}

// Socket begins an upgraded connection that is in use for so long.
func (l *Load) Socket(duration time.Duration) {
	l.wait.Go(func() { l.count(fmt.Sprintf("WebSocket of %s", duration), socket(l.target, duration)) })
}

func (l *Load) repeat(request func(Target) error) {
	for i := 1; ; i++ {
		l.count(fmt.Sprintf("request %d of a visitor", i), request(l.target))
		select {
		case <-l.stop:
			return
		case <-time.After(pause):
		}
	}
}

func (l *Load) count(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.failed = append(l.failed, fmt.Sprintf("%s, %s: %v", time.Now().Format("15:04:05.000"), what, err))
	}
}

// Containerfile is that of the app, whose program BuildApp puts beside it. The
// image is the smallest, so that a deploy is little but the deploy.
const Containerfile = "FROM localhost/review-demo/busybox\nCOPY app /app\nENV PORT=8080\nEXPOSE 8080\nENTRYPOINT [\"/app\"]\n"

// BuildApp compiles the app, as a program that needs no library, into dir.
func BuildApp(dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "app"), "gitlab.com/review-executor/review-executor/internal/loadtest/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the app: %w\n%s", err, out)
	}
	return nil
}
