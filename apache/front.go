// Package apache publishes review apps as Apache virtual hosts.
//
// Each app is one file in a directory of ours. Apply brings the directory to
// what it should be: it replaces files atomically, runs configtest, then
// reloads. If Apache refuses a file, the one before is back when Apply
// returns, and the other apps are served.
package apache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// Front is one Apache, seen through a directory of virtual hosts. It
// implements review.Front. Callers let one Apply run at a time.
type Front struct {
	cfg    Config
	domain string
	sites  string
	logins map[string]string // files of users by project
}

// New returns the front of the apps under domain. Files that it serves itself
// are below the directory sites. logins are files of users by project. cfg must have
// no Problems.
func New(cfg Config, domain, sites string, logins map[string]string) *Front {
	return &Front{cfg: cfg, domain: domain, sites: sites, logins: logins}
}

// URL is where a browser finds the host.
func (f *Front) URL(host string) string {
	port := f.cfg.port()
	if (f.cfg.tls() && port == "443") || (!f.cfg.tls() && port == "80") {
		return f.cfg.scheme() + "://" + host
	}
	return f.cfg.scheme() + "://" + net.JoinHostPort(host, port)
}

// Warnings tells what is wrong with the certificate for the host, or soon will be.
func (f *Front) Warnings(host string) []string {
	return certificateWarnings(f.cfg, f.domain, host, time.Now())
}

// files are contents by file name; nil means no such file.
type files map[string][]byte

// Apply makes Apache serve exactly these sites, and those named in keep as
// they are. See review.Front.
func (f *Front) Apply(ctx context.Context, sites []review.Site, keep []string) (map[string]error, error) {
	if err := os.MkdirAll(f.cfg.VhostDir, 0o755); err != nil {
		return nil, fmt.Errorf("virtual hosts: %w", err)
	}
	before, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := f.checkUnseen(); err != nil {
		return nil, err
	}
	r, err := f.newRenderer(time.Now())
	if err != nil {
		return nil, err
	}
	want, refused, err := r.render(sites)
	if err != nil {
		return nil, err
	}
	for _, app := range append(keep, slices.Collect(maps.Keys(refused))...) {
		want[siteFile(app)] = before[siteFile(app)]
	}
	generation, err := r.renderGeneration(want)
	if err != nil {
		return nil, err
	}
	changes := difference(before, want)
	script := f.scriptDiffers()
	if len(changes) == 0 && !script && !f.reloadDue() {
		return refused, nil
	}
	if err := f.noteReloadDue(); err != nil {
		return nil, err
	}
	if script {
		if err := f.writeScript(); err != nil {
			return nil, err
		}
	}
	if err := f.write(changes); err != nil {
		return nil, errors.Join(err, f.restore(before, changes))
	}
	if err := f.settle(ctx, before, changes, refused); err != nil {
		return nil, errors.Join(err, f.restore(before, changes))
	}
	listened := f.listens()
	if err := f.reload(ctx); err != nil {
		return nil, errors.Join(err, f.restore(before, changes))
	}
	if listened && f.ended(ctx, generation) {
		err := errors.Join(errEnded, f.restore(before, changes))
		_ = f.reload(ctx) // some ways to reload start what does not run
		return nil, err
	}
	return refused, f.noteReloaded()
}

// read returns the files that we wrote and that Apache reads.
func (f *Front) read() (files, error) {
	paths, err := filepath.Glob(filepath.Join(f.cfg.VhostDir, "*.conf"))
	if err != nil {
		return nil, err
	}
	found := files{}
	for _, path := range paths {
		_, ours := siteOf(filepath.Base(path))
		data, err := os.ReadFile(path)
		if err != nil && !ours {
			continue // somebody else's
		}
		if err != nil {
			return nil, fmt.Errorf("virtual hosts: %w", err)
		}
		if ours || bytes.HasPrefix(data, []byte(mark)) {
			found[filepath.Base(path)] = data
		}
	}
	return found, nil
}

// difference returns what to write to come from before to want.
func difference(before, want files) files {
	changes := files{}
	for name, data := range want {
		if data != nil && !bytes.Equal(before[name], data) {
			changes[name] = data
		}
	}
	for name := range before {
		if want[name] == nil {
			changes[name] = nil
		}
	}
	return changes
}

// writtenAtOnce is how many files wait for the disk together.
const writtenAtOnce = 32

func (f *Front) write(changes files) error {
	var group errgroup.Group
	group.SetLimit(writtenAtOnce)
	for name, data := range changes {
		group.Go(func() error {
			path := filepath.Join(f.cfg.VhostDir, name)
			var err error
			if data == nil {
				err = os.Remove(path)
			} else {
				err = renameio.WriteFile(path, data, 0o640) // tickets are in it
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("write virtual host: %w", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// restore undoes changes.
func (f *Front) restore(before, changes files) error {
	undo := files{}
	for name := range changes {
		undo[name] = before[name]
	}
	return f.write(undo)
}

// settle runs configtest and takes back, one after the other, the files that
// Apache names as wrong. It fails when the fault lies elsewhere.
func (f *Front) settle(ctx context.Context, before, changes files, refused map[string]error) error {
	for {
		verdict, err := f.configtest(ctx)
		if err != nil || verdict == nil {
			return err
		}
		if len(refused) >= manyRefused {
			return f.systematic(verdict)
		}
		app, isApp := siteOf(verdict.file)
		if _, changed := changes[verdict.file]; !isApp || !changed {
			return f.foreign(verdict)
		}
		if err := f.restore(before, files{verdict.file: nil}); err != nil {
			return err
		}
		delete(changes, verdict.file)
		refused[app] = verdict
	}
}

// manyRefused is how many files Apache may refuse one after the other; then it is
// no single app's doing.
const manyRefused = 3

// systematic is the failure for a fault that every virtual host of ours has.
func (f *Front) systematic(verdict *verdict) error {
	hint := fmt.Sprintf("not your branch: the host's administrator should see what %q says; \"review-executor apache-config\" prints the modules that are needed", strings.Join(f.cfg.Configtest, " "))
	if f.cfg.VhostTemplate != "" {
		hint = "not your branch: the host's administrator should mend apache.vhost_template, " + f.cfg.VhostTemplate
	}
	return &review.Failure{
		What:  "Apache refuses one virtual host after the other",
		Lines: strings.Split(verdict.output, "\n"),
		State: "all are as before and the previous configuration is still serving",
		Hint:  hint,
	}
}

// foreign is the failure for a fault in Apache's configuration that no app of
// ours brought.
func (f *Front) foreign(verdict *verdict) error {
	return &review.Failure{
		What:  "Apache refuses its configuration, and not because of this app",
		Lines: strings.Split(verdict.output, "\n"),
		State: "the previous configuration is still serving",
		Hint:  fmt.Sprintf("not your branch: ask the host's administrator to run %q", strings.Join(f.cfg.Configtest, " ")),
	}
}

// A reload that is due outlives a kill: the mark is made before the first file
// changes and removed after Apache has reloaded.
func (f *Front) reloadDue() bool {
	_, err := os.Stat(f.duePath())
	return err == nil
}

func (f *Front) noteReloadDue() error {
	file, err := os.Create(f.duePath())
	if err != nil {
		return fmt.Errorf("virtual hosts: %w", err)
	}
	return file.Close()
}

func (f *Front) noteReloaded() error { return os.Remove(f.duePath()) }

func (f *Front) duePath() string { return filepath.Join(f.cfg.VhostDir, ".reload-due") }
