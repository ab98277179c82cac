package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// recordVersion is the version of the records that this program writes.
const recordVersion = 2

// Records keeps one file per app under a state directory. Writers hold the
// app's lock; a file is replaced atomically, so readers need none.
type Records struct {
	dir string
}

// NewRecords keeps its records under the state directory dir.
func NewRecords(dir string) *Records { return &Records{dir: dir} }

// Begin makes the directory of the records, and Begun tells whether that was ever
// done here.
func (r *Records) Begin() error {
	if err := os.MkdirAll(filepath.Join(r.dir, "apps"), 0o750); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Begun is explained at Begin.
func (r *Records) Begun() bool {
	_, err := os.Stat(filepath.Join(r.dir, "apps"))
	return err == nil
}

// Load returns the app's record, or nil if there is none.
func (r *Records) Load(app string) (*Record, error) {
	if err := CheckLabel(app); err != nil {
		return nil, err
	}
	path := r.path(app)
	data, err := r.read(filepath.Join("apps", app+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return nil, fmt.Errorf("record %s is damaged: %w", path, err)
	}
	if record.Version < 1 || record.Version > recordVersion {
		return nil, fmt.Errorf("record %s has version %d; this program knows versions 1 to %d", path, record.Version, recordVersion)
	}
	record.Version = recordVersion // version 1 had less of a release, and so every field that it had
	if record.Name != app {
		return nil, fmt.Errorf("record %s names another app, %s", path, Printable(record.Name, 80))
	}
	if record.Live.ID == "" && len(record.Pending) == 0 && !record.Stopping {
		return nil, fmt.Errorf("record %s names no release", path)
	}
	return &record, nil
}

// All returns every record, by name. damaged tells, by app, which ones cannot
// be read and why: they do not hide the rest.
func (r *Records) All() (records []Record, damaged map[string]error, err error) {
	names, err := r.list("apps")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list records: %w", err)
	}
	damaged = map[string]error{}
	for _, name := range names {
		app, found := strings.CutSuffix(name, ".json")
		if !found || CheckLabel(app) != nil {
			continue // a file being written
		}
		record, err := r.Load(app)
		switch {
		case err != nil:
			damaged[app] = err
		case record != nil:
			records = append(records, *record)
		}
	}
	return records, damaged, nil
}

// Save replaces the app's record. When it fails, the record before it stays.
func (r *Records) Save(record Record) error {
	if err := CheckLabel(record.Name); err != nil {
		return err
	}
	record.Version = recordVersion
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path(record.Name)), 0o750); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := renameio.WriteFile(r.path(record.Name), append(data, '\n'), 0o640); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Delete removes the app's record. A missing one is not an error.
func (r *Records) Delete(app string) error {
	if err := CheckLabel(app); err != nil {
		return err
	}
	if err := os.Remove(r.path(app)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove record: %w", err)
	}
	return nil
}

// Lock waits until nobody else works on the app and returns how to let go.
// waiting is called once if another holds it.
func (r *Records) Lock(ctx context.Context, app string, waiting func()) (unlock func(), err error) {
	if err := CheckLabel(app); err != nil {
		return nil, err
	}
	return r.lock(ctx, app, waiting)
}

// TryLock is Lock without waiting: it returns nil if somebody works on the app.
func (r *Records) TryLock(app string) (unlock func(), err error) {
	if err := CheckLabel(app); err != nil {
		return nil, err
	}
	unlock, err = r.lock(context.Background(), app, nil)
	return unlock, err
}

// LockFront waits for the one lock that every change of the front takes.
func (r *Records) LockFront(ctx context.Context) (unlock func(), err error) {
	return r.lock(ctx, "_front", func() {}) // no app has an underscore
}

// LockRoom waits for the one lock under which an app takes its place.
func (r *Records) LockRoom(ctx context.Context) (unlock func(), err error) {
	return r.lock(ctx, "_room", func() {})
}

// LockCaches waits for the one lock under which jobs choose a cache volume.
func (r *Records) LockCaches(ctx context.Context) (unlock func(), err error) {
	return r.lock(ctx, "_caches", func() {})
}

// lock takes locks/NAME.lock and removes the file when it lets go. If waiting is
// nil and another holds it, it returns nil at once. Because the
// file may go while another waits for it, the winner checks that what it
// locked is still the file of that name.
func (r *Records) lock(ctx context.Context, name string, waiting func()) (func(), error) {
	dir := filepath.Join(r.dir, "locks")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	path := filepath.Join(dir, name+".lock")
	for {
		l := flock.New(path, flock.SetPermissions(0o640))
		locked, err := l.TryLock()
		if err == nil && !locked && waiting == nil {
			return nil, l.Close()
		}
		if err == nil && !locked {
			waiting()
			waiting = func() {}
			_, err = l.TryLockContext(ctx, 50*time.Millisecond)
		}
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if current(l, path) {
			return func() { _, _ = os.Remove(path), l.Close() }, nil
		}
		_ = l.Close()
	}
}

func current(l *flock.Flock, path string) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}

func (r *Records) path(app string) string {
	return filepath.Join(r.dir, "apps", app+".json")
}
