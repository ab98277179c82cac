package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// written is one release of which there are unit files.
type written struct {
	app, release string
	port         uint16 // 0: there is no file of a socket, or a damaged one
	stale        bool   // one is of another version of the program, or calls another, or with another configuration
}

// found returns the releases that have unit files of ours: those of the app, or of
// every app for "", in order.
func (s *Systemd) found(app string) ([]written, error) {
	entries, err := os.ReadDir(s.UnitDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list units: %w", err)
	}
	form, err := s.form()
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	byBase := map[string]written{}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "review-app-"+app) || !entry.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.UnitDir, name))
		if err != nil {
			continue // it has just gone
		}
		of, release, port, ours := parse(string(text))
		unit := base(of, release)
		if !ours || (app != "" && of != app) || !slices.Contains(files(unit), name) {
			continue
		}
		one := byBase[unit]
		one.app, one.release, one.port = of, release, max(one.port, port)
		one.stale = one.stale || !strings.Contains(string(text), "\n"+form+"\n")
		byBase[unit] = one
	}
	all := make([]written, 0, len(byBase))
	for _, one := range byBase {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b written) int { return strings.Compare(base(a.app, a.release), base(b.app, b.release)) })
	return all, nil
}

// files are the names of a release's unit files, in the order in which they are
// written: what wakes comes last, and goes first.
func files(base string) []string {
	return []string{containerUnit(base), serviceUnit(base), socketUnit(base)}
}

// write writes the files that differ, and tells whether systemd may know others.
func (s *Systemd) write(unit string, want map[string]string) (changed bool, err error) {
	if err := os.MkdirAll(s.UnitDir, 0o755); err != nil { //nolint:gosec // as systemd makes it
		return false, fmt.Errorf("write units: %w", err)
	}
	for _, name := range files(unit) {
		path := filepath.Join(s.UnitDir, name)
		before, err := os.ReadFile(path)
		if err == nil && string(before) == want[name] {
			continue
		}
		if err == nil {
			if _, _, _, ours := parse(string(before)); !ours {
				return changed, fmt.Errorf("write units: %s is somebody else's", path)
			}
			changed = true
		}
		if err := renameio.WriteFile(path, []byte(want[name]), 0o644); err != nil {
			return changed, fmt.Errorf("write units: %w", err)
		}
	}
	return changed, nil
}

// wants are the links by which a boot starts units.
func (s *Systemd) wants(unit string, never bool) map[string]bool {
	return map[string]bool{
		filepath.Join(s.UnitDir, "sockets.target.wants", socketUnit(unit)):  true,
		filepath.Join(s.UnitDir, "default.target.wants", serviceUnit(unit)): never,
	}
}

// enable has the next boot start the socket, and with never the release itself.
func (s *Systemd) enable(unit string, never bool) error {
	for link, wanted := range s.wants(unit, never) {
		if !wanted {
			if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("enable %s: %w", unit, err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil { //nolint:gosec // as systemd makes it
			return fmt.Errorf("enable %s: %w", unit, err)
		}
		if err := renameio.Symlink(filepath.Join("..", filepath.Base(link)), link); err != nil {
			return fmt.Errorf("enable %s: %w", unit, err)
		}
	}
	return nil
}

// remove removes a release's files and links. What is not ours stays.
func (s *Systemd) remove(unit string) error {
	var failed []error
	for link := range s.wants(unit, false) {
		failed = append(failed, os.Remove(link))
	}
	_ = os.Remove(s.addressFile(unit)) // the unit does that, and a sandbox may keep us from it
	for _, name := range slices.Backward(files(unit)) {
		path := filepath.Join(s.UnitDir, name)
		text, err := os.ReadFile(path)
		if _, _, _, ours := parse(string(text)); err == nil && ours {
			failed = append(failed, os.Remove(path))
		}
	}
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil || errors.Is(err, fs.ErrNotExist) })
	return errors.Join(failed...)
}

// addressFile tells systemd-socket-proxyd where the container is, until a reboot.
func (s *Systemd) addressFile(unit string) string {
	return filepath.Join(s.RuntimeDir, "review-executor", unit+".env")
}
