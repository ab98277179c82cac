package webhook

import (
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

// eventFile is an event as it is kept.
type eventFile struct {
	Version int          `json:"version"`
	Event   review.Event `json:"event"`
}

// progress is what became of an event so far. It may be lost: then what was done is
// done once more.
type progress struct {
	Attempts map[string]int    `json:"attempts,omitempty"` // begun, by app
	Failed   map[string]string `json:"failed,omitempty"`   // why it is no longer tried, by app
	Done     []string          `json:"done,omitempty"`     // apps
}

// over tells whether there is nothing left to do for the app.
func (p progress) over(app string) bool {
	_, failed := p.Failed[app]
	return failed || slices.Contains(p.Done, app)
}

var nameForm = regexp.MustCompile(`^([0-9]{15})-([0-9a-f]{32})$`)

// fileName sorts as the numbers do.
func fileName(number int64, id string) string { return fmt.Sprintf("%015d-%s", number, hash(id)) }

// parseName reads a file's name without its ending.
func parseName(name string) (number int64, hash string, err error) {
	found := nameForm.FindStringSubmatch(name)
	if found == nil {
		return 0, "", errors.New("its name is none of ours")
	}
	number, err = strconv.ParseInt(found[1], 10, 64)
	return number, found[2], err
}

// write has the item's file on disk under its name, which the directory may still
// lose.
func (q *queue) write(i *item) error {
	data, err := json.Marshal(eventFile{fileVersion, i.event})
	if err != nil {
		return err
	}
	temporary := q.path("events", "."+i.name())
	err = writeSynced(temporary, append(data, '\n'))
	if err == nil {
		err = os.Rename(temporary, q.path("events", i.name()+".json"))
	}
	if err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("keep event: %w", err)
	}
	return nil
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

// maxFile is more than any event of ours.
const maxFile = 64 << 10

// read reads the event in the file of this name. What is wrong with it is for ever.
func (q *queue) read(name string) (*item, error) {
	number, id, err := parseName(name)
	if err != nil {
		return nil, err
	}
	data, err := readRegular(q.path("events", name+".json"))
	if err != nil {
		return nil, err
	}
	var file eventFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if file.Version != fileVersion {
		return nil, fmt.Errorf("it has version %d, and this program knows version %d", file.Version, fileVersion)
	}
	if file.Event.Kind == "" || hash(file.Event.ID) != id {
		return nil, errors.New("it is not the event that its name tells")
	}
	i := &item{number: number, event: file.Event}
	if data, err := readRegular(q.path("events", name+".progress")); err == nil {
		if json.Unmarshal(data, &i.progress) != nil {
			i.progress = progress{}
		}
	}
	return i, nil
}

// readRegular reads a file that is one, and not a pipe that never ends.
func readRegular(file string) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, errors.New("it is no file of ours")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// note keeps the item's progress. It is not worth waiting for the disk.
func (q *queue) note(i *item) error {
	data, err := json.Marshal(i.progress)
	if err != nil {
		return err
	}
	temporary := q.path("events", "."+i.name()+".progress")
	err = os.WriteFile(temporary, data, 0o640)
	if err == nil {
		err = os.Rename(temporary, q.path("events", i.name()+".progress"))
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}
