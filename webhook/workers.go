package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

// Apps are what events may end.
type Apps interface {
	// Affected names the apps that the event may end.
	Affected(ctx context.Context, event review.Event) ([]string, error)
	// Follow does to one app what the event demands, after having asked GitLab. It is
	// safe to repeat.
	Follow(ctx context.Context, event review.Event, app string) error
}

// How events are done. An event that fails is tried for some minutes, as long as a
// GitLab takes that is started again; what is set aside then, sync finds.
const (
	parallel    = 4 // apps at once
	maxAttempts = 5
	firstWait   = 5 * time.Second // and three times as long after each attempt
	maxTime     = 10 * time.Minute
	lastWait    = 5 * time.Second // for what has been told to end
)

// workers do the events: one lane per app, in order, and different apps at once.
type workers struct {
	apps      Apps
	queue     *queue
	log       logrus.FieldLogger
	firstWait time.Duration
	lastWait  time.Duration
	// ctx ends what waits, and running what is being done.
	ctx, running context.Context //nolint:containedctx // the lanes live as long as the process
	stop, kill   context.CancelFunc
	slots        chan struct{}
	all          sync.WaitGroup

	mu      sync.Mutex
	inbox   []*item          // whom they affect is not known yet
	wake    chan struct{}    // has room for one: there is something in the inbox
	lanes   map[string]*lane // of apps that have something to do
	pending int              // events that are not over
	empty   chan struct{}    // has room for one: there is none any more
}

// lane is what there is to do for an app, in order.
type lane struct{ todo []*work }

func newWorkers(apps Apps, q *queue, log logrus.FieldLogger) *workers {
	w := &workers{
		apps: apps, queue: q, log: log, firstWait: firstWait, lastWait: lastWait,
		slots: make(chan struct{}, parallel), wake: make(chan struct{}, 1), empty: make(chan struct{}, 1), lanes: map[string]*lane{},
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.running, w.kill = context.WithCancel(context.Background())
	return w
}

// start begins with what is left of an earlier run.
func (w *workers) start(items []*item) {
	w.add(items)
	w.all.Go(w.dispatch)
}

// add takes events that are in the queue. It does not block.
func (w *workers) add(items []*item) {
	w.mu.Lock()
	w.inbox = append(w.inbox, items...)
	w.pending += len(items)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// idle tells whether every event is over: one that waits to be tried again is not.
func (w *workers) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending == 0
}

// drain waits until every event is over, or ctx ends.
func (w *workers) drain(ctx context.Context) {
	for !w.idle() {
		select {
		case <-w.empty:
		case <-ctx.Done():
			return
		}
	}
}

// end lets what is being done go on for at most patience, and begins nothing new.
// What is left is in the queue, even what does not end when it is told to.
func (w *workers) end(patience time.Duration) {
	w.stop()
	ended := make(chan struct{})
	go func() { w.all.Wait(); close(ended) }()
	for _, after := range []time.Duration{patience, w.lastWait} {
		select {
		case <-ended:
		case <-time.After(after):
		}
		w.kill()
	}
}

// dispatch puts events into the lanes of the apps that they affect, in order. One
// whose apps cannot be told is tried again apart, and holds no other.
func (w *workers) dispatch() {
	for w.ctx.Err() == nil {
		one := w.nextInbox()
		if one == nil {
			select {
			case <-w.wake:
			case <-w.ctx.Done():
			}
			continue
		}
		if err := w.assign(one); err != nil {
			w.all.Go(func() { w.assignLater(one, err) })
		}
	}
}

func (w *workers) nextInbox() *item {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.inbox) == 0 {
		return nil
	}
	one := w.inbox[0]
	w.inbox = w.inbox[1:]
	return one
}

// assign asks whom the event affects and puts it into their lanes.
func (w *workers) assign(i *item) error {
	ctx, cancel := context.WithTimeout(w.running, maxTime)
	defer cancel()
	apps, err := guarded(func() ([]string, error) { return w.apps.Affected(ctx, i.event) })
	if err != nil {
		return err
	}
	apps = slices.Compact(slices.Sorted(slices.Values(apps)))
	one := &work{item: i}
	todo := slices.DeleteFunc(apps, i.progress.over)
	one.left = len(todo)
	if one.left == 0 {
		w.over(one)
		return nil
	}
	for _, app := range todo {
		w.enqueue(app, one)
	}
	return nil
}

// assignLater tries again to tell whom the event affects.
func (w *workers) assignLater(i *item, err error) {
	first := true
	err = w.retry(fieldsOf(i.event), 0, func() error {
		if first { // that was the first attempt
			first = false
			return err
		}
		return w.assign(i)
	})
	if err != nil && w.ctx.Err() == nil {
		w.queue.setAside(i, fmt.Errorf("whom it affects cannot be told: %w", err))
		w.leave()
	}
}

// enqueue puts work at the end of the app's lane, and has somebody walk it.
func (w *workers) enqueue(app string, one *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l, walked := w.lanes[app]; walked {
		l.todo = append(l.todo, one)
		return
	}
	w.lanes[app] = &lane{todo: []*work{one}}
	w.all.Go(func() { w.walk(app) })
}

// walk does what there is in the app's lane.
func (w *workers) walk(app string) {
	for w.ctx.Err() == nil {
		one := w.nextIn(app)
		if one == nil {
			return
		}
		w.do(app, one)
	}
}

// nextIn takes the next work from the app's lane, which goes when it is empty.
func (w *workers) nextIn(app string) *work {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lanes[app]
	if len(l.todo) == 0 {
		delete(w.lanes, app)
		return nil
	}
	one := l.todo[0]
	l.todo = l.todo[1:]
	return one
}

// do tries one event for one app until it is done, or often enough.
func (w *workers) do(app string, one *work) {
	fields := fieldsOf(one.event)
	fields["app"] = app
	err := w.retry(fields, one.attempts(app), func() error { return w.attempt(app, one) })
	if err != nil && w.ctx.Err() != nil {
		return // the process leaves: it is in the queue
	}
	last, noting := one.end(w.queue, app, err)
	if err == nil {
		w.log.WithFields(fields).WithField("took", time.Since(one.event.Received).Round(time.Millisecond)).Info("event done")
	}
	if last {
		w.over(one)
	} else if noting != nil {
		w.log.WithFields(fields).WithError(noting).Warn("what is done may be done once more")
	}
}

// errExhausted is an event that earlier processes have begun too often.
var errExhausted = fmt.Errorf("it was begun %d times and never done", maxAttempts)

// retry tries until it works, but for the attempts that were begun before.
func (w *workers) retry(fields logrus.Fields, begun int, try func() error) error {
	if begun >= maxAttempts {
		return errExhausted
	}
	wait := &backoff.ExponentialBackOff{InitialInterval: w.firstWait, Multiplier: 3, RandomizationFactor: 0.2, MaxInterval: time.Hour}
	_, err := backoff.Retry(w.ctx, func() (struct{}, error) { return struct{}{}, try() },
		backoff.WithBackOff(wait), backoff.WithMaxTries(uint(maxAttempts-begun)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, after time.Duration) {
			w.log.WithFields(fields).WithError(err).WithField("again_in", after.Round(time.Millisecond)).Warn("event not done yet")
		}))
	return err
}

// attempt follows the event once. It is counted before it begins, so that one that
// kills the process is not tried for ever.
func (w *workers) attempt(app string, one *work) error {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	if err := one.note(w.queue, app, begun); err != nil {
		w.log.WithError(err).Warn("an attempt is not counted")
	}
	ctx, cancel := context.WithTimeout(w.running, maxTime)
	defer cancel()
	_, err := guarded(func() (struct{}, error) { return struct{}{}, w.apps.Follow(ctx, one.event, app) })
	if err != nil && w.running.Err() != nil { // we have ended it ourselves
		_ = one.note(w.queue, app, undone)
		return backoff.Permanent(context.Canceled)
	}
	return err
}

// over ends an event that is over for every app.
func (w *workers) over(one *work) {
	defer w.leave()
	if why := one.progress.failed; len(why) > 0 {
		var errs []error
		for _, app := range slices.Sorted(maps.Keys(why)) {
			errs = append(errs, fmt.Errorf("%s: %s", app, why[app]))
		}
		w.queue.setAside(one.item, errors.Join(errs...))
		return
	}
	if len(one.progress.done) == 0 {
		w.log.WithFields(fieldsOf(one.event)).Info("event done: it is about no app")
	}
	w.queue.finish(one.item)
}

func (w *workers) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending--
	if w.pending == 0 {
		select {
		case w.empty <- struct{}{}:
		default:
		}
	}
}

// guarded makes an error of a panic.
func guarded[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
