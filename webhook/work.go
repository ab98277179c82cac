package webhook

import (
	"sync"

	"gitlab.com/review-executor/review-executor/review"
)

// work is an event that is being done, for one app or more.
type work struct {
	*item
	mu   sync.Mutex // of the item's progress
	left int        // apps
}

// attempts is how often the event was begun for the app.
func (w *work) attempts(app string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.progress.attempts[app]
}

// note keeps what happens to the app, before the next thing does.
func (w *work) note(q *queue, app, what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return q.note(w.item, step{App: app, What: what})
}

// end notes how it went for the app, for good. It tells whether this was the last
// app: then the file goes, and nothing needs to be kept.
func (w *work) end(q *queue, app string, err error) (last bool, noting error) {
	how := step{App: app, What: done}
	if err != nil {
		how = step{App: app, What: failed, Why: review.Printable(err.Error(), 1000)}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left--; w.left == 0 {
		w.progress.add(how)
		return true, nil
	}
	return false, q.note(w.item, how)
}
