package webhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

// queue keeps events in a directory:
//
//	events/NUMBER-ID.json  to be done, in the order of the numbers
//	events/….batch         many that came at once, until each has its own file
//	done/NUMBER-ID.json    remembers the ID, so that the event is not done again
//	failed/…               set aside, with the reason in a file beside it
//	lock                   held by the one process that works on it
//
// Moving a file is what ends an event, so a full disk does not keep one from it.
type queue struct {
	dir      string
	log      logrus.FieldLogger
	lock     *flock.Flock
	memory   memory
	arrivals chan arrival
	batches  chan []*item  // that are kept
	stopping chan struct{} // closed when nothing is to be kept any more
	stopped  chan struct{} // closed when nothing is
	// deliver gets the events that have come, in order. It must not block.
	deliver   func([]*item)
	spreading sync.WaitGroup
	next      int64 // only the committer's
	opened    time.Time
	last      atomic.Int64 // when something was kept last, in nanoseconds from opened
}

// item is an event in the queue.
type item struct {
	number   int64
	event    review.Event
	progress progress
}

func (i *item) name() string { return fileName(i.number, i.event.ID) }

// arrival is an event that somebody waits for an answer to.
type arrival struct {
	event review.Event
	reply chan reply // has room for one
}

type reply struct {
	isNew bool
	err   error
}

// errClosed is the answer to who comes while the process leaves.
var errClosed = errors.New("the queue is closed")

// errLocked is another process's queue.
var errLocked = errors.New("another process has the queue")

// openQueue takes the queue in dir for this process and returns it with what is
// left to do in it. What cannot be read is set aside.
func openQueue(dir string, log logrus.FieldLogger) (*queue, []*item, error) {
	q := &queue{
		dir: dir, log: log, arrivals: make(chan arrival), batches: make(chan []*item, 1000), stopping: make(chan struct{}), stopped: make(chan struct{}), opened: time.Now(), deliver: func([]*item) {},
	}
	for _, sub := range []string{"events", "done", "failed"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o750); err != nil {
			return nil, nil, fmt.Errorf("open queue: %w", err)
		}
	}
	q.lock = flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o640))
	locked, err := q.lock.TryLock()
	if err == nil && !locked {
		err = errLocked
	}
	if err != nil {
		_ = q.lock.Close()
		return nil, nil, fmt.Errorf("open queue %s: %w", dir, err)
	}
	items, err := q.load()
	if err != nil {
		_ = q.lock.Close()
		return nil, nil, fmt.Errorf("open queue: %w", err)
	}
	return q, items, nil
}

// start has what comes from now on delivered.
func (q *queue) start(deliver func([]*item)) {
	q.deliver = deliver
	go q.commit()
	q.spreading.Go(q.spreadAll)
}

// stop ends a started queue after what is being kept, which it delivers.
func (q *queue) stop() {
	close(q.stopping)
	<-q.stopped
	q.spreading.Wait()
}

// unlock gives the queue to other processes.
func (q *queue) unlock() { _ = q.lock.Close() }

// keep has the event on disk for good when it returns. It tells whether the event
// is new: one that has been there before is neither kept nor done again.
func (q *queue) keep(ctx context.Context, event review.Event) (isNew bool, err error) {
	a := arrival{event, make(chan reply, 1)}
	select {
	case q.arrivals <- a:
	case <-q.stopped:
		return false, errClosed
	case <-ctx.Done():
		return false, ctx.Err()
	}
	r := <-a.reply
	return r.isNew, r.err
}

// maxBatch is how many events share one writing of the directory.
const maxBatch = 64

// commit keeps what comes, all that has come meanwhile at once: what takes the time
// is to have the disk say that it is written.
func (q *queue) commit() {
	defer close(q.batches)
	defer close(q.stopped)
	for {
		select {
		case first := <-q.arrivals:
			q.keepAll(q.batch(first))
		case <-q.stopping:
			return
		}
	}
}

// batch is the arrival and those that wait behind it.
func (q *queue) batch(first arrival) []arrival {
	batch := []arrival{first}
	for len(batch) < maxBatch {
		select {
		case a := <-q.arrivals:
			batch = append(batch, a)
		default:
			return batch
		}
	}
	return batch
}

// keepAll keeps what is new in the batch, all or nothing, and answers.
func (q *queue) keepAll(batch []arrival) {
	replies := make([]reply, len(batch))
	ids := map[string]bool{}
	var items []*item
	for i, a := range batch {
		if ids[a.event.ID] || q.memory.has(hash(a.event.ID)) {
			continue
		}
		ids[a.event.ID] = true
		items = append(items, &item{number: q.next, event: a.event})
		replies[i].isNew = true
		q.next++
	}
	err := q.putAll(items)
	for i, a := range batch {
		if ids[a.event.ID] && err != nil {
			replies[i] = reply{err: err}
		} else {
			q.memory.add(hash(a.event.ID))
		}
	}
	if err == nil && len(items) > 0 {
		q.batches <- items
	}
	q.last.Store(int64(time.Since(q.opened)))
	for i, a := range batch {
		a.reply <- replies[i]
	}
}

func (q *queue) path(elem ...string) string {
	return filepath.Join(append([]string{q.dir}, elem...)...)
}
