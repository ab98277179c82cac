package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// batchLine is an event in a batch, one a line. Making a file takes the time of many
// lines on a busy disk, so events that come at once are answered when one file has
// them all, and get their own afterwards.
type batchLine struct {
	Number int64 `json:"number"`
	eventFile
}

const batchEnding = ".batch"

func batchName(items []*item) string { return items[0].name() + batchEnding }

// putAll has all the items on disk for good, in one file, or none.
func (q *queue) putAll(items []*item) error {
	switch len(items) {
	case 0:
		return nil
	case 1:
		return q.putFor(items[0].name()+".json", eventFile{fileVersion, items[0].event})
	}
	lines := make([]any, len(items))
	for i, one := range items {
		lines[i] = batchLine{one.number, eventFile{fileVersion, one.event}}
	}
	return q.putFor(batchName(items), lines...)
}

// putFor has a file in events/ for good.
func (q *queue) putFor(name string, lines ...any) error {
	err := q.put(name, lines...)
	if err == nil {
		if err = syncDir(q.path("events")); err != nil {
			_ = os.Remove(q.path("events", name))
		}
	}
	if err != nil {
		return fmt.Errorf("keep event: %w", err)
	}
	return nil
}

// Answers come first: what was kept is not gone on with within burstGap of the last
// that came, but for what has waited for burstTime.
const (
	burstGap  = 25 * time.Millisecond
	burstTime = 3 * time.Second
)

// yield waits while a burst of events is being answered.
func (q *queue) yield(first *item) {
	for time.Since(q.opened)-time.Duration(q.last.Load()) < burstGap && time.Since(first.event.Received) < burstTime {
		select {
		case <-time.After(burstGap):
		case <-q.stopping:
			return
		}
	}
}

// spreadAll gives each event of what was kept its own file, and delivers them in
// order.
func (q *queue) spreadAll() {
	for items := range q.batches {
		q.yield(items[0])
		for len(items) > 1 {
			err := q.spread(items, batchName(items))
			if err == nil {
				break
			}
			q.log.WithError(err).Error("events wait until their files can be written")
			select {
			case <-time.After(5 * time.Second):
			case <-q.stopping:
				return // they are in their batch
			}
		}
		q.deliver(items)
	}
}

// spread gives each item a file, and removes their batch.
func (q *queue) spread(items []*item, batch string) error {
	for _, one := range items {
		if err := q.put(one.name()+".json", eventFile{fileVersion, one.event}); err != nil {
			return err
		}
	}
	if err := syncDir(q.path("events")); err != nil {
		return err
	}
	return os.Remove(q.path("events", batch))
}

// loadBatches spreads the batches that an earlier process has left. What has its own
// file, or had it, keeps that.
func (q *queue) loadBatches() error {
	entries, err := os.ReadDir(q.path("events"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), batchEnding) || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		items, err := q.readBatch(entry.Name())
		if err != nil {
			q.setAsideFile(entry.Name(), err)
			continue
		}
		if err := q.spread(items, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// readBatch reads the events of a batch that have no file.
func (q *queue) readBatch(name string) ([]*item, error) {
	data, err := readRegular(q.path("events", name), maxBatch*maxFile)
	if err != nil {
		return nil, err
	}
	var items []*item
	for line := range bytes.Lines(data) {
		var one batchLine
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("it is damaged: %w", err)
		}
		err := one.check()
		if err == nil && (one.Number < 1 || one.Number > maxNumber) {
			err = fmt.Errorf("it has an event with number %d", one.Number)
		}
		if err != nil {
			return nil, err
		}
		i := &item{number: one.Number, event: one.Event}
		if !q.hasFile(i.name() + ".json") {
			items = append(items, i)
		}
	}
	return items, nil
}

func (q *queue) hasFile(name string) bool {
	for _, dir := range []string{"events", "done", "failed"} {
		if _, err := os.Lstat(filepath.Join(q.dir, dir, name)); err == nil {
			return true
		}
	}
	return false
}
