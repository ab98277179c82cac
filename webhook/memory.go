package webhook

import (
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long what was done is remembered, and what was set aside is kept. GitLab lets
// an event be sent again as long as it keeps its own log of it, some days.
const (
	doneAge   = 7 * 24 * time.Hour
	doneCount = 10_000
	failedAge = 30 * 24 * time.Hour
	pruneEach = time.Hour
)

// memory is the IDs of the events that have come, as the queue's files tell them.
type memory struct {
	mu     sync.Mutex
	ids    map[string]struct{}
	pruned time.Time
}

func (m *memory) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, found := m.ids[id]
	return found
}

func (m *memory) add(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = map[string]struct{}{}
	}
	m.ids[id] = struct{}{}
}

func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ids, id)
}

// due tells, once in a while, that it is time to prune.
func (m *memory) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.pruned) < pruneEach {
		return false
	}
	m.pruned = time.Now()
	return true
}

// prune forgets what was done long ago, or before too many others, and removes what
// was set aside long ago.
func (q *queue) prune() {
	done, err := os.ReadDir(q.path("done"))
	if err != nil {
		q.log.WithError(err).Warn("what was done cannot be forgotten")
		return
	}
	surplus := len(done) - doneCount
	for i, entry := range done { // by number
		if i >= surplus && !older(entry, doneAge) {
			continue
		}
		name, _, _ := strings.Cut(entry.Name(), ".")
		if _, id, err := parseName(name); os.RemoveAll(q.path("done", entry.Name())) == nil && err == nil {
			q.memory.forget(id)
		}
	}
	failed, _ := os.ReadDir(q.path("failed"))
	failed = slices.DeleteFunc(failed, func(entry os.DirEntry) bool { return !older(entry, failedAge) })
	for _, entry := range failed {
		_ = os.RemoveAll(q.path("failed", entry.Name()))
	}
}

func older(entry os.DirEntry, age time.Duration) bool {
	info, err := entry.Info()
	return err == nil && time.Since(info.ModTime()) > age
}
