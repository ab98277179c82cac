package reviewtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Supervisor is a review.Supervisor in memory. Its sockets are real: a request
// wakes the release and is passed on to it.
type Supervisor struct {
	Fail Fault
	// Wake and Sleep are those of the Lifecycle.
	Wake  func(ctx context.Context, app, release string) error
	Sleep func(ctx context.Context, app, release string) error
	Used  map[string]time.Time // when the app was last used; not there: not known

	mu    sync.Mutex
	units map[[2]string]*unit // by app and release
}

var _ review.Supervisor = (*Supervisor)(nil)

type unit struct {
	review.Unit
	server  *httptest.Server // nil: it does not listen
	awake   bool
	address string
	waking  sync.Mutex
}

// NewSupervisor returns one that ends with the test.
func NewSupervisor(t testing.TB) *Supervisor {
	s := &Supervisor{units: map[[2]string]*unit{}}
	t.Cleanup(func() {
		for _, u := range s.units {
			u.server.Close()
		}
	})
	return s
}

// Listen makes the unit, or leaves it where it is.
func (s *Supervisor) Listen(ctx context.Context, wanted review.Unit) (string, error) {
	if err := s.Fail.before(ctx, "Listen"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{wanted.App, wanted.Release}
	u := s.units[key]
	if u == nil {
		u = &unit{server: s.listen(key, wanted.Backend)}
		s.units[key] = u
	}
	u.Unit = wanted
	return u.server.Listener.Addr().String(), nil
}

func (s *Supervisor) listen(key [2]string, backend string) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, err := s.demand(r.Context(), key)
		if err != nil {
			panic(http.ErrAbortHandler) // the client gets an end and no answer
		}
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}).ServeHTTP(w, r)
	}))
	if _, err := netip.ParseAddrPort(backend); err == nil {
		if listener, err := net.Listen("tcp", backend); err == nil {
			_ = server.Listener.Close()
			server.Listener = listener
		}
	}
	server.Start()
	return server
}

// demand wakes the release unless it is awake, and tells where it is.
func (s *Supervisor) demand(ctx context.Context, key [2]string) (address string, err error) {
	s.mu.Lock()
	u := s.units[key]
	s.mu.Unlock()
	if u == nil {
		return "", errors.New("there is no such unit")
	}
	u.waking.Lock()
	defer u.waking.Unlock()
	if !u.awake {
		if err := s.Wake(ctx, key[0], key[1]); err != nil {
			return "", err
		}
		u.awake = true
	}
	return u.address, nil
}

// Start wakes the release as a request does.
func (s *Supervisor) Start(ctx context.Context, app, release string) error {
	if err := s.Fail.before(ctx, "unit Start"); err != nil {
		return err
	}
	_, err := s.demand(ctx, [2]string{app, release})
	return err
}

// Stop sends the release to sleep.
func (s *Supervisor) Stop(ctx context.Context, app, release string) error {
	if err := s.Fail.before(ctx, "unit Stop"); err != nil {
		return err
	}
	s.mu.Lock()
	u := s.units[[2]string{app, release}]
	s.mu.Unlock()
	return s.sleep(ctx, u)
}

func (s *Supervisor) sleep(ctx context.Context, u *unit) error {
	if u == nil {
		return nil
	}
	u.waking.Lock()
	defer u.waking.Unlock()
	if !u.awake {
		return nil
	}
	u.awake = false
	return s.Sleep(ctx, u.App, u.Release)
}

// Point notes where the container is.
func (s *Supervisor) Point(app, release, address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[[2]string{app, release}]; u != nil {
		u.address = address
	}
	return nil
}

// Units are those of the app, or of all.
func (s *Supervisor) Units(ctx context.Context, app string) ([]review.Object, error) {
	if err := s.Fail.before(ctx, "Units"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []review.Object
	for _, u := range s.units {
		if app == "" || u.App == app {
			all = append(all, review.Object{
				Kind: "unit", Name: "review-app-" + u.App + "-" + u.Release, Running: u.awake, Backend: u.server.Listener.Addr().String(),
				Labels: map[string]string{review.LabelApp: u.App, review.LabelRelease: u.Release, review.LabelRole: review.RoleApp},
			})
		}
	}
	slices.SortFunc(all, func(a, b review.Object) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// LastUsed is what Used says of an app that is awake.
func (s *Supervisor) LastUsed(ctx context.Context, app, release string) (time.Time, error) {
	if err := s.Fail.before(ctx, "LastUsed"); err != nil {
		return time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[[2]string{app, release}]; u == nil || !u.awake {
		return time.Time{}, nil
	}
	return s.Used[app], nil
}

// Remove removes the unit, or all of the app's.
func (s *Supervisor) Remove(ctx context.Context, app, release string) error {
	if err := s.Fail.before(ctx, "unit Remove"); err != nil {
		return err
	}
	s.mu.Lock()
	var gone []*unit
	for key, u := range s.units {
		if key[0] == app && (release == "" || key[1] == release) {
			gone = append(gone, u)
			delete(s.units, key)
		}
	}
	s.mu.Unlock()
	var failed []error
	for _, u := range gone {
		u.server.Close()
		failed = append(failed, s.sleep(ctx, u))
	}
	return errors.Join(failed...)
}

// Reboot forgets what is awake.
func (s *Supervisor) Reboot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.units {
		u.awake, u.address = false, ""
	}
}

// Busy tells whether a release of the app is about to be awake, or to sleep: who
// asks for it waits.
func (s *Supervisor) Busy(app string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.units {
		if u.App != app {
			continue
		}
		if !u.waking.TryLock() {
			return true
		}
		u.waking.Unlock()
	}
	return false
}
