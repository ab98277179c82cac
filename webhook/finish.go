package webhook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// finish moves a done event out of the way. If that cannot be written the event is
// done once more after a restart, which is safe.
func (q *queue) finish(i *item) {
	name := i.name() + ".json"
	if err := os.Rename(q.path("events", name), q.path("done", name)); err != nil {
		q.log.WithFields(fieldsOf(i.event)).WithError(err).Error("a done event stays in the queue")
		return
	}
	if q.memory.due() {
		q.prune()
	}
}

// setAside moves an event out of the way that could not be done.
func (q *queue) setAside(i *item, why error) {
	q.memory.forget(hash(i.event.ID))
	q.setAsideFile(i.name()+".json", why)
}

// setAsideFile moves a file of events/ to failed/, with the reason in a file beside
// it.
func (q *queue) setAsideFile(name string, why error) {
	from, to := q.path("events", name), q.path("failed", name)
	if _, err := os.Lstat(to); err == nil {
		to = fmt.Sprintf("%s.%d", to, time.Now().UnixNano())
	}
	log := q.log.WithField("file", review.Printable(filepath.Base(to), 200))
	if err := os.Rename(from, to); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.WithError(err).Error("what cannot be done stays in the queue")
		}
		return
	}
	now := time.Now()
	_ = os.Chtimes(to, now, now) // its age is that of the failure
	if err := os.WriteFile(to+".error", []byte(review.Printable(why.Error(), 4000)+"\n"), 0o640); err != nil {
		log.WithError(err).Warn("the reason cannot be kept")
	}
	log.WithError(why).Error("set aside, and not tried again")
}
