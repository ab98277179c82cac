package review

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
)

// Strays names what there is of apps that no record owns, by app: what Sync would remove.
// Apps that somebody works on, or was killed at, are left out. It changes nothing and
// takes no lock.
func (l *Lifecycle) Strays(ctx context.Context) (map[string][]string, error) {
	there, err := l.takeInventory(ctx)
	if err != nil {
		return nil, err
	}
	records, damaged, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	known := map[string]Record{}
	for _, r := range records {
		known[r.Name] = l.withoutGone(r)
	}
	maps.DeleteFunc(there, func(name string, _ []Object) bool {
		return CheckLabel(name) != nil || damaged[name] != nil || l.Records.worked(name)
	})
	strays := map[string][]string{}
	for name, objects := range there {
		for _, o := range objects {
			if !known[name].wants(o) {
				strays[name] = append(strays[name], o.Kind+" "+Printable(o.Name, 100))
			}
		}
	}
	return strays, nil
}

// worked tells whether there is a lock of the app's, held or left.
func (r *Records) worked(app string) bool {
	_, err := os.Lstat(filepath.Join(r.dir, "locks", app+".lock"))
	return !errors.Is(err, fs.ErrNotExist)
}

const (
	askedAtOnce  = 16
	silentWithin = 3 * time.Second
)

// Silent tells which apps are recorded and not served, and why: the front does not answer
// with their release, one of their containers does not run, or nobody listens to wake them. Apps that somebody works on are left out. It changes nothing and takes no lock.
func (l *Lifecycle) Silent(ctx context.Context) (map[string]error, error) {
	records, _, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r Record) bool { return !r.Serves() || l.Records.worked(r.Name) })
	silent := map[string]error{}
	if len(records) == 0 {
		return silent, nil
	}
	var there inventory
	if l.Containers != nil {
		if there, err = l.takeInventory(ctx); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	ctx, cancel := context.WithTimeout(ctx, silentWithin)
	defer cancel()
	for _, r := range records {
		group.Go(func() error {
			err := l.Front.Serves(ctx, l.site(r))
			switch {
			case err != nil:
			case r.Live.Socket: // its containers may be asleep; to connect would wake them
				err = listened(r.Live.Backend)
			case there != nil:
				err = r.stopped(there[r.Name])
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				silent[r.Name] = err
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are by app
	return silent, nil
}

// listened tells, from the kernel's table and without a connection, that nobody listens on an
// address of loopback.
func listened(backend string) error {
	address, err := netip.ParseAddrPort(backend)
	if err != nil {
		return err
	}
	proc, err := procfs.NewFS("/proc")
	if err != nil {
		return err
	}
	table, err := proc.NetTCP()
	if err != nil {
		return err
	}
	const listen = 10 // TCP_LISTEN
	for _, socket := range table {
		if socket.St == listen && socket.LocalPort == uint64(address.Port()) && (socket.LocalAddr.Equal(address.Addr().AsSlice()) || socket.LocalAddr.IsUnspecified()) {
			return nil
		}
	}
	return fmt.Errorf("nobody listens on %s, which wakes it", backend)
}

// stopped names a container of the live release that does not run.
func (r Record) stopped(there []Object) error {
	for _, name := range r.containers() {
		if !slices.ContainsFunc(there, func(o Object) bool { return o.Kind == "container" && o.Name == name && o.Running }) {
			return fmt.Errorf("container %s does not run", name)
		}
	}
	return nil
}

// containers are the names of those that run while the app serves and is awake.
func (r Record) containers() []string {
	var names []string
	if r.Serves() && !r.Live.Static {
		names = append(names, containerName(r.Name, r.Live))
	}
	for _, c := range r.Live.Companions {
		names = append(names, companionContainer(r.Name, c))
	}
	return names
}
