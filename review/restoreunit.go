package review

import (
	"context"
	"slices"
)

// restoreUnit makes sure that the live release is behind its socket. One that
// sleeps goes on sleeping; one that is awake, or must never sleep, runs
// afterwards, with its companions.
func (d *deploy) restoreUnit(ctx context.Context) (did string, err error) {
	units, err := d.Supervisor.Units(ctx, d.app.Name)
	if err != nil {
		return "", err
	}
	unit, _ := unitOf(units, d.app.Name, d.next)
	if unit.Changing {
		return "", nil // it wakes, or goes to sleep
	}
	there, err := d.containersOf(ctx, d.app.Name) // after the units: what is awake runs
	if err != nil {
		return "", err
	}
	runs := has(there, containerName(d.app.Name, d.next), true)
	if d.next.Socket && !unit.Running && !runs && d.Limits.sleepAfter(d.next) != Never {
		return d.restoreAsleep(ctx, there)
	}
	kept := d.next.Socket && unit.Running && runs // though a companion may be gone
	if kept && d.allRun(there) {
		return d.relisten(ctx)
	}
	if unit.Running && !kept {
		if err := d.Supervisor.Stop(ctx, d.app.Name, d.next.ID); err != nil {
			return "", err
		}
		if there, err = d.containersOf(ctx, d.app.Name); err != nil {
			return "", err
		}
	}
	if did, err = d.heal(ctx, there); err != nil {
		return did, err
	}
	moved, err := d.relisten(ctx)
	if err != nil {
		return did, err
	}
	if did == "" {
		did = moved
	}
	if kept {
		return did, nil
	}
	return did, d.Supervisor.Start(ctx, d.app.Name, d.next.ID)
}

// restoreAsleep lets a release sleep on, its companions too unless a job has use for them.
func (d *deploy) restoreAsleep(ctx context.Context, there []Object) (did string, err error) {
	if len(d.record.Pending) == 0 && slices.ContainsFunc(d.wanted(there), func(name string) bool { return has(there, name, true) }) {
		if err := d.stopCompanions(ctx, d.app.Name, d.next); err != nil {
			return "", err
		}
	}
	return d.relisten(ctx)
}

// relisten has the release's socket listen, and makes the record and the front know
// where.
func (d *deploy) relisten(ctx context.Context) (did string, err error) {
	backend, err := d.Supervisor.Listen(ctx, d.unit())
	if err != nil {
		return "", err
	}
	if d.next.Socket && d.next.Backend == backend {
		return "", nil
	}
	d.next.Backend, d.next.Socket = backend, true
	return "listens on " + backend, d.move(ctx)
}
