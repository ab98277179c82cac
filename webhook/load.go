package webhook

import (
	"errors"
	"os"
	"strings"
)

// load reads what is left to do, in order, and what was done before. It sets aside
// what nobody can read, and goes on from the highest number that there is.
func (q *queue) load() ([]*item, error) {
	if err := q.remember(); err != nil {
		return nil, err
	}
	if err := q.loadBatches(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(q.path("events"))
	if err != nil {
		return nil, err
	}
	var items []*item
	for _, entry := range entries { // sorted by name
		name, isEvent := strings.CutSuffix(entry.Name(), ".json")
		switch {
		case strings.HasPrefix(name, "."): // was being written when the process ended: nobody was answered
			_ = os.RemoveAll(q.path("events", entry.Name()))
		case !isEvent:
			q.setAsideFile(entry.Name(), errors.New("it is no event"))
		default:
			if one := q.loadEvent(name); one != nil {
				items = append(items, one)
			}
		}
	}
	return items, nil
}

// loadEvent is the event of this name, or nil if it was set aside.
func (q *queue) loadEvent(name string) *item {
	if number, _, err := parseName(name); err == nil {
		q.next = max(q.next, number+1)
	}
	one, err := q.read(name)
	if err != nil {
		q.setAsideFile(name+".json", err)
		return nil
	}
	q.memory.add(hash(one.event.ID))
	return one
}

// remember reads the IDs of what was done, and forgets the oldest. What was set
// aside is not remembered: somebody may send it again once the cause is mended.
func (q *queue) remember() error {
	q.next = 1
	for _, dir := range []string{"failed", "done"} {
		entries, err := os.ReadDir(q.path(dir))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry.Name(), ".")
			number, id, err := parseName(name)
			if err != nil {
				continue
			}
			q.next = max(q.next, number+1)
			if dir == "done" {
				q.memory.add(id)
			}
		}
	}
	if q.memory.due() {
		q.prune()
	}
	return nil
}
