package webhook

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

// Options are what Serve works with.
type Options struct {
	// Dir of the queue.
	Dir     string
	Secrets Secrets
	Mirrors Mirrors
	Apps    Apps
	Log     logrus.FieldLogger
	// Listeners are closed at the end.
	Listeners []net.Listener
	// Idle is how long to stay without work; 0 is for ever.
	Idle time.Duration
	// Ready, if set, is called when requests are answered, and Leaving when they no
	// longer are.
	Ready, Leaving func()
}

// How long those may take who are not ours, and how long they may who are.
const (
	headerTime    = 5 * time.Second
	readTime      = 10 * time.Second // GitLab gives up after as long
	answerTime    = 10 * time.Second
	followTime    = 20 * time.Second // of what is being done when the process is told to leave
	maxHeaderSize = 64 << 10
)

// Serve receives events and does them, those first that an earlier run has left. It
// returns when ctx ends, after the answers and for a while what is being done, or
// when it was idle. What is left stays in the queue.
func Serve(ctx context.Context, o Options) error {
	if o.Secrets == (Secrets{}) {
		return errors.New("there is no secret, so no event can be received")
	}
	q, left, err := openQueue(o.Dir, o.Log)
	if err != nil {
		return opening(err, o.Dir)
	}
	work := newWorkers(o.Apps, q, o.Log)
	q.start(work.add)
	work.start(left)
	if len(left) > 0 {
		o.Log.WithField("events", len(left)).Info("going on with what an earlier run has left")
	}

	active := activity{handler: newReceiver(o.Secrets, o.Mirrors, q.keep, o.Log), start: time.Now()}
	server, failed := serveHTTP(&active, o.Listeners)
	if o.Ready != nil {
		o.Ready()
	}
	err = wait(ctx, failed, o.Idle, func() time.Duration {
		if !work.idle() {
			active.touch()
		}
		return active.rest()
	})
	if o.Leaving != nil {
		o.Leaving()
	}
	shutdown(server)
	q.stop()
	if err == nil {
		work.drain(ctx) // of what came while we were leaving
	}
	work.end(followTime)
	q.unlock()
	return err
}

func opening(err error, dir string) error {
	if !errors.Is(err, errLocked) {
		return err
	}
	return &review.Failure{
		What:  "another process is receiving webhooks for " + dir,
		State: "nothing was changed; it goes on",
		Hint:  "one is enough; with systemd, it is review-executor-webhook.service",
	}
}

// serveHTTP answers on all listeners. A connection is for one request: a proxy that
// keeps one would find it closed when we leave.
func serveHTTP(handler http.Handler, listeners []net.Listener) (*http.Server, <-chan error) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: readTime + answerTime,
		MaxHeaderBytes: maxHeaderSize, ErrorLog: log.New(io.Discard, "", 0),
	}
	server.SetKeepAlivesEnabled(false)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	return server, failed
}

// wait returns nil when ctx ends or when rest has reached idle, and what has failed.
func wait(ctx context.Context, failed <-chan error, idle time.Duration, rest func() time.Duration) error {
	var timer <-chan time.Time
	if idle > 0 {
		timer = time.After(idle)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-timer:
			left := idle - rest()
			if left <= 0 {
				return nil
			}
			timer = time.After(left)
		}
	}
}

// shutdown accepts no more, and waits for the answers.
func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime+answerTime)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// activity knows when there was something to do last.
type activity struct {
	handler  http.Handler
	requests atomic.Int64 // that are being answered
	start    time.Time
	last     atomic.Int64 // nanoseconds from start
}

func (a *activity) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	defer a.requests.Add(-1)
	defer a.touch()
	a.handler.ServeHTTP(w, r)
}

func (a *activity) touch() { a.last.Store(int64(time.Since(a.start))) }

// rest is for how long there was nothing to do.
func (a *activity) rest() time.Duration {
	if a.requests.Load() > 0 {
		return 0
	}
	return time.Since(a.start) - time.Duration(a.last.Load())
}
