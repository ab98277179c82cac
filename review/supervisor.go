package review

import (
	"context"
	"slices"
	"time"
)

// Supervisor starts a release when somebody asks for it and ends it when nobody
// has for a while. For each release it has one unit: a socket on loopback that takes
// requests at any time, and behind it the release's container, which calls of
// Lifecycle.Wake and Lifecycle.Sleep start and end. It outlives this process and a
// reboot. Every method is safe to repeat; what is not there is no error.
type Supervisor interface {
	// Listen makes the unit, or makes it as it should be, and has its socket listen
	// where it did, or else on any free port. What is awake stays so, unless the
	// port had to change.
	Listen(ctx context.Context, unit Unit) (backend string, err error)
	// Start wakes the release and returns when it is awake. Its time without a
	// connection begins then.
	Start(ctx context.Context, app, release string) error
	// Stop sends the release to sleep. The socket goes on listening.
	Stop(ctx context.Context, app, release string) error
	// Point tells the socket where the container is. Wake calls it.
	Point(app, release, address string) error
	// Units are what there is of the app, or of every app for "": objects of the kind
	// "unit". Running means awake, Changing about to be, or about to sleep, and
	// Backend is where the socket listens; "": it does not.
	Units(ctx context.Context, app string) ([]Object, error)
	// LastUsed is when somebody was last connected to the release: now, as long as
	// somebody is. The zero time: it sleeps, or that is not known.
	LastUsed(ctx context.Context, app, release string) (time.Time, error)
	// Remove removes the unit, or every unit of the app for the release "". What is
	// awake is put to sleep.
	Remove(ctx context.Context, app, release string) error
}

// Unit is a release as a Supervisor knows it.
type Unit struct {
	App        string
	Release    string
	Backend    string // where the socket shall listen if it can; "": anywhere
	SleepAfter SleepAfter
	StopGrace  time.Duration // that Sleep may take
}

// unitKind is the Kind of a supervisor's objects.
const unitKind = "unit"

// supervises tells whether the release is, or is to be, behind a socket.
func (l *Lifecycle) supervises(r Release) bool { return l.Supervisor != nil && !r.Static }

// objects are the app's units and then its objects in the engine; AnyValue: every app's.
func (l *Lifecycle) objects(ctx context.Context, app string) ([]Object, error) {
	there, err := l.Containers.Objects(ctx, map[string]string{LabelApp: app})
	if err != nil || l.Supervisor == nil {
		return there, err
	}
	name := app
	if app == AnyValue {
		name = ""
	}
	units, err := l.Supervisor.Units(ctx, name)
	return append(units, there...), err
}

// removeObjects removes what carries all of the labels, a unit before its container:
// a socket would wake it.
func (l *Lifecycle) removeObjects(ctx context.Context, labels map[string]string, grace time.Duration) error {
	role, one := labels[LabelRole]
	release := labels[LabelRelease]
	if l.Supervisor != nil && (!one || role == RoleApp && release != "") {
		if err := l.Supervisor.Remove(ctx, labels[LabelApp], release); err != nil {
			return err
		}
	}
	return l.Containers.Remove(ctx, labels, grace)
}

// unit is the release as the supervisor shall have it.
func (d *deploy) unit() Unit {
	u := Unit{App: d.app.Name, Release: d.next.ID, SleepAfter: d.Limits.sleepAfter(d.next), StopGrace: 2 * d.Limits.StopGrace}
	if d.next.Socket {
		u.Backend = d.next.Backend
	}
	return u
}

// listen puts the release that runs behind a socket of its own, on which it is
// published from now on, and has the supervisor take it for awake.
func (d *deploy) listen(ctx context.Context) error {
	if !d.supervises(d.next) {
		return nil
	}
	backend, err := d.Supervisor.Listen(ctx, d.unit())
	if err != nil {
		return err
	}
	d.next.Backend, d.next.Socket = backend, true
	if err := d.Supervisor.Start(ctx, d.app.Name, d.next.ID); err != nil {
		return err
	}
	if after := d.Limits.sleepAfter(d.next); after != Never {
		d.log.Step("sleep", "after %s without a connection; the next request wakes it", after)
	}
	return nil
}

// unitOf is the unit of a release among what there is.
func unitOf(there []Object, app string, release Release) (unit Object, found bool) {
	i := slices.IndexFunc(there, func(o Object) bool {
		return o.Kind == unitKind && o.Labels[LabelApp] == app && o.Labels[LabelRelease] == release.ID
	})
	if i < 0 {
		return Object{}, false
	}
	return there[i], true
}

// Asleep tells which apps sleep, by name. Without a supervisor none ever does.
func (l *Lifecycle) Asleep(ctx context.Context, records []Record) (map[string]bool, error) {
	asleep := map[string]bool{}
	if l.Supervisor == nil {
		return asleep, nil
	}
	units, err := l.Supervisor.Units(ctx, "")
	if err != nil {
		return asleep, err
	}
	byName := map[string]Object{}
	for _, u := range units {
		byName[u.Labels[LabelApp]+" "+u.Labels[LabelRelease]] = u
	}
	for _, r := range records {
		u, found := byName[r.Name+" "+r.Live.ID]
		asleep[r.Name] = found && r.Serves() && r.Live.Socket && u.Backend != "" && !u.Running && !u.Changing
	}
	return asleep, nil
}
