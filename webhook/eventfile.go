package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"

	"gitlab.com/review-executor/review-executor/review"
)

// fileVersion is the version of the files that this program writes.
const fileVersion = 1

// eventFile is the first line of an event's file. What happens is added to it, a line
// each.
type eventFile struct {
	Version int          `json:"version"`
	Event   review.Event `json:"event"`
}

// check tells what is wrong with an event that was read.
func (f eventFile) check() error {
	if f.Version != fileVersion {
		return fmt.Errorf("it has version %d, and this program knows version %d", f.Version, fileVersion)
	}
	if f.Event.Kind == "" || f.Event.ID == "" {
		return errors.New("it is no event")
	}
	return nil
}

// progress is what became of an event so far. It may be lost: then what was done is
// done once more.
type progress struct {
	attempts map[string]int    // begun, by app
	failed   map[string]string // why it is no longer tried, by app
	done     []string          // apps
}

// step is one line of progress: what happened to an app.
type step struct {
	App  string `json:"app"`
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
}

// What happens to an app.
const (
	begun  = "begun"
	undone = "put back" // begun, and ended by ourselves
	done   = "done"
	failed = "failed"
)

func (p *progress) add(s step) {
	switch s.What {
	case begun, undone:
		if p.attempts == nil {
			p.attempts = map[string]int{}
		}
		p.attempts[s.App] += map[string]int{begun: 1, undone: -1}[s.What]
	case done:
		p.done = append(p.done, s.App)
	case failed:
		if p.failed == nil {
			p.failed = map[string]string{}
		}
		p.failed[s.App] = s.Why
	}
}

// over tells whether there is nothing left to do for the app.
func (p progress) over(app string) bool {
	_, failed := p.failed[app]
	return failed || slices.Contains(p.done, app)
}

var nameForm = regexp.MustCompile(`^([0-9]{15})-([0-9a-f]{32})$`)

// maxNumber has as many digits as names have room for.
const maxNumber = 999_999_999_999_999

// fileName sorts as the numbers do.
func fileName(number int64, id string) string { return fmt.Sprintf("%015d-%s", number, hash(id)) }

// parseName reads a file's name without its ending.
func parseName(name string) (number int64, hash string, err error) {
	found := nameForm.FindStringSubmatch(name)
	if found == nil {
		return 0, "", errors.New("its name is none of ours")
	}
	number, err = strconv.ParseInt(found[1], 10, 64)
	if number > maxNumber/2 {
		return 0, "", errors.New("its number is none that a queue comes to")
	}
	return number, found[2], err
}

// put has a file of these lines in events/, which the directory may still lose.
func (q *queue) put(name string, lines ...any) error {
	var text bytes.Buffer
	for _, line := range lines {
		if err := json.NewEncoder(&text).Encode(line); err != nil {
			return err
		}
	}
	temporary := q.path("events", "."+name)
	err := writeSynced(temporary, text.Bytes())
	if err == nil {
		err = os.Rename(temporary, q.path("events", name))
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}

func writeSynced(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir has the disk say that the directory's names are written.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// maxFile is more than any event of ours.
const maxFile = 64 << 10

// read reads the event in the file of this name. What is wrong with it is for ever.
func (q *queue) read(name string) (*item, error) {
	number, id, err := parseName(name)
	if err != nil {
		return nil, err
	}
	data, err := readRegular(q.path("events", name+".json"), maxFile)
	if err != nil {
		return nil, err
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	var file eventFile
	if err := json.Unmarshal(first, &file); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if err := file.check(); err != nil {
		return nil, err
	}
	if hash(file.Event.ID) != id {
		return nil, errors.New("it is not the event that its name tells")
	}
	i := &item{number: number, event: file.Event}
	for line := range bytes.Lines(rest) {
		var s step
		if json.Unmarshal(line, &s) == nil { // else it was being written
			i.progress.add(s)
		}
	}
	return i, nil
}

// readRegular reads a file that is one, and not a pipe that never ends.
func readRegular(file string, limit int64) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, errors.New("it is no file of ours")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// note adds to the item's progress. It is not worth waiting for the disk.
func (q *queue) note(i *item, s step) error {
	i.progress.add(s)
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(q.path("events", i.name()+".json"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	// A line that was being written when the process ended ends here.
	_, err = f.Write(append(append([]byte("\n"), line...), '\n'))
	return errors.Join(err, f.Close())
}
