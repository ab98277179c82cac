// Package supervisor lets review apps sleep, and wakes them, by systemd's own parts.
//
// A release has three units in the systemd of the user who runs this program: a
// socket on loopback that the front sends requests to; a systemd-socket-proxyd that
// passes them on and ends when there was no connection for a while; and its containers,
// which are wanted only as long as the proxy runs. No code of ours is
// between a visitor and an app.
//
// Start reading at Listen.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/google/renameio/v2"

	"gitlab.com/review-executor/review-executor/review"
)

// Systemd is the systemd of one user. It implements review.Supervisor.
type Systemd struct {
	Executable string // of this program, for the units
	Config     string // its configuration file
	UnitDir    string // where the user's units are
	RuntimeDir string // of the user, where systemd's bus is

	mu   sync.Mutex
	conn *systemd.Conn
}

var _ review.Supervisor = (*Systemd)(nil)

// New is the systemd of the user who runs this process. Neither HOME nor
// XDG_RUNTIME_DIR need be right: gitlab-runner's service and sudo have others.
// What cannot be found out is said when it is needed.
func New(config string) *Systemd {
	executable, _ := os.Executable()
	uid := strconv.Itoa(os.Getuid())
	home := os.Getenv("HOME")
	if u, err := user.LookupId(uid); err == nil {
		home = u.HomeDir
	}
	if path, err := filepath.Abs(config); err == nil {
		config = path
	}
	return &Systemd{
		Executable: executable,
		Config:     config,
		UnitDir:    filepath.Join(home, ".config/systemd/user"),
		RuntimeDir: filepath.Join("/run/user", uid),
	}
}

// The ports of sockets are below those that the kernel gives to connections, which
// could otherwise have one when the host boots.
const (
	firstPort, lastPort = 20000, 32767
	portTries           = 20
)

// Listen writes the release's units and has its socket listen. See
// review.Supervisor.
func (s *Systemd) Listen(ctx context.Context, u review.Unit) (string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	if err := recent(conn); err != nil {
		return "", err
	}
	port := portOf(u.Backend)
	if port == 0 {
		if port, err = s.portOf(u); err != nil {
			return "", err
		}
	}
	var failed error
	for range portTries {
		if port != 0 {
			if failed = s.listenOn(ctx, conn, u, port); failed == nil {
				return backend(port), nil
			}
			var job *jobError
			if !errors.As(failed, &job) {
				return "", failed
			}
		}
		if port, err = freePort(); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no port for %s: %w", u.App, failed)
}

// portOf is the port of a release's socket as it was written; 0: it was not.
func (s *Systemd) portOf(u review.Unit) (uint16, error) {
	all, err := s.found(u.App)
	for _, one := range all {
		if one.release == u.Release {
			return one.port, err
		}
	}
	return 0, err
}

// freePort is one that nobody listens on, and that no unit is likely to have.
func freePort() (uint16, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // no secret
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return uint16(port), listener.Close()
		}
	}
	return 0, fmt.Errorf("all ports from %d to %d are in use", firstPort, lastPort)
}

func (s *Systemd) listenOn(ctx context.Context, conn *systemd.Conn, u review.Unit, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	want, err := s.render(u, port)
	if err != nil {
		return err
	}
	name := base(u.App, u.Release)
	if before, err := s.portOf(u); err == nil && before != 0 && before != port {
		if err := s.end(ctx, conn, name); err != nil { // systemd moves no socket that is open
			return err
		}
	}
	changed, err := s.write(name, want)
	if err != nil {
		return err
	}
	if err := s.enable(name, u.SleepAfter == review.Never); err != nil {
		return err
	}
	if changed || outdated(ctx, conn, name) { // what is new systemd finds by itself
		if err := conn.ReloadContext(ctx); err != nil {
			return fmt.Errorf("reload the units: %w", err)
		}
	}
	_ = conn.ResetFailedUnitContext(ctx, socketUnit(name)) // most often it has not failed
	return run(ctx, conn.StartUnitContext, "start", socketUnit(name))
}

// outdated tells whether systemd knows other files than there are, as after a process that
// was killed before it had told.
func outdated(ctx context.Context, conn *systemd.Conn, name string) bool {
	return slices.ContainsFunc(files(name), func(unit string) bool {
		property, err := conn.GetUnitPropertyContext(ctx, unit, "NeedDaemonReload")
		return err == nil && property.Value.Value() == true
	})
}

// Start starts the release's proxy, and with it the containers. A proxy counts its
// idle time from the end of a connection, so it gets one.
func (s *Systemd) Start(ctx context.Context, app, release string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	name := base(app, release)
	if err := run(ctx, conn.StartUnitContext, "start", serviceUnit(name)); err != nil {
		return &review.Failure{
			What:  fmt.Sprintf("review app %q does not wake", app),
			Cause: err,
			Hint:  fmt.Sprintf("the host's administrator finds why with \"sudo journalctl _SYSTEMD_USER_UNIT=%s\"", containerUnit(name)),
		}
	}
	port, err := s.portOf(review.Unit{App: app, Release: release})
	if err != nil {
		return err
	}
	var dialer net.Dialer
	first, err := dialer.DialContext(ctx, "tcp", backend(port))
	if err != nil {
		return fmt.Errorf("the socket of %s: %w", app, err)
	}
	return first.Close()
}

// Stop stops the release's proxy and containers.
func (s *Systemd) Stop(ctx context.Context, app, release string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	name := base(app, release)
	return errors.Join(stop(ctx, conn, serviceUnit(name)), stop(ctx, conn, containerUnit(name)))
}

// end stops all of the release, what wakes it first.
func (s *Systemd) end(ctx context.Context, conn *systemd.Conn, name string) error {
	var failed []error
	for _, unit := range []string{socketUnit(name), serviceUnit(name), containerUnit(name)} {
		failed = append(failed, stop(ctx, conn, unit))
		_ = conn.ResetFailedUnitContext(ctx, unit) // or systemd remembers it
	}
	return errors.Join(failed...)
}

func stop(ctx context.Context, conn *systemd.Conn, unit string) error {
	err := run(ctx, conn.StopUnitContext, "stop", unit)
	if unknown(err) {
		return nil
	}
	return err
}

// Point writes where the release's container is.
func (s *Systemd) Point(app, release, address string) error {
	if err := errors.Join(review.CheckLabel(app), review.CheckRelease(release)); err != nil {
		return err
	}
	port := portOf(address)
	if port == 0 {
		return fmt.Errorf("%s is not on loopback", review.Printable(address, 80))
	}
	file := s.addressFile(base(app, release))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("tell the address of %s: %w", app, err)
	}
	if err := renameio.WriteFile(file, []byte("ADDRESS="+backend(port)+"\n"), 0o600); err != nil {
		return fmt.Errorf("tell the address of %s: %w", app, err)
	}
	return nil
}

// Units are the releases that have unit files, with what systemd says of them.
func (s *Systemd) Units(ctx context.Context, app string) ([]review.Object, error) {
	all, err := s.found(app)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	known, err := conn.ListUnitsByPatternsContext(ctx, nil, []string{"review-app-" + app + "*"})
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	states := map[string]string{}
	for _, unit := range known {
		states[unit.Name] = unit.ActiveState
	}
	objects := make([]review.Object, 0, len(all))
	for _, one := range all {
		objects = append(objects, object(one, states))
	}
	return objects, nil
}

// forget has systemd read its units anew if it still knows some that are gone, because
// they were enabled when it began.
func forget(ctx context.Context, conn *systemd.Conn, app string, gone []written) error {
	known, err := conn.ListUnitsByPatternsContext(ctx, nil, []string{"review-app-" + app + "-*"})
	if err != nil {
		return fmt.Errorf("list units: %w", err)
	}
	for _, one := range gone {
		name := socketUnit(base(one.app, one.release))
		if slices.ContainsFunc(known, func(unit systemd.UnitStatus) bool { return unit.Name == name }) {
			return conn.ReloadContext(ctx)
		}
	}
	return nil
}

func object(one written, states map[string]string) review.Object {
	name := base(one.app, one.release)
	passes, runs := states[serviceUnit(name)], states[containerUnit(name)]
	o := review.Object{
		Kind:     "unit",
		Name:     name,
		Running:  runs == "active",
		Changing: slices.Contains([]string{"activating", "deactivating"}, runs) || passes == "deactivating",
		Labels:   map[string]string{review.LabelApp: one.app, review.LabelRelease: one.release, review.LabelRole: review.RoleApp},
	}
	if states[socketUnit(name)] == "active" && one.port != 0 && !one.stale { // a stale one is made anew
		o.Backend = backend(one.port)
	}
	return o
}

// Remove stops the release's units and removes their files.
func (s *Systemd) Remove(ctx context.Context, app, release string) error {
	if err := review.CheckLabel(app); err != nil {
		return err
	}
	all, err := s.found(app)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one written) bool { return release != "" && one.release != release })
	if len(all) == 0 {
		return nil
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, jobTimeout+time.Minute)
	defer cancel()
	var failed []error
	for _, one := range all {
		name := base(one.app, one.release)
		if err := s.end(ctx, conn, name); err != nil {
			failed = append(failed, err)
			continue // what goes on keeps its files, by which it is found again
		}
		failed = append(failed, s.remove(name))
	}
	return errors.Join(append(failed, forget(ctx, conn, app, all))...)
}
