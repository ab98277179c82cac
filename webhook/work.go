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
	return w.progress.Attempts[app]
}

func (w *work) count(app string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.progress.Attempts == nil {
		w.progress.Attempts = map[string]int{}
	}
	w.progress.Attempts[app] += n
}

// end notes how it went for the app, for good. It tells whether this was the last
// app.
func (w *work) end(app string, err error) (last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.progress.Done = append(w.progress.Done, app)
	} else {
		if w.progress.Failed == nil {
			w.progress.Failed = map[string]string{}
		}
		w.progress.Failed[app] = review.Printable(err.Error(), 1000)
	}
	w.left--
	return w.left == 0
}

// note keeps the progress, unless there is nothing left to do.
func (w *work) note(q *queue) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		return nil
	}
	return q.note(w.item)
}
