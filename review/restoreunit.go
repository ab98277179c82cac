package review

import "context"

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
	asleep := d.next.Socket && !unit.Running && !d.anyRuns(there) && d.Limits.sleepAfter(d.next) != Never
	awake := d.next.Socket && unit.Running && d.allRun(there)
	if asleep || awake {
		return d.relisten(ctx)
	}
	if unit.Running { // and something of it does not
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
	return did, d.Supervisor.Start(ctx, d.app.Name, d.next.ID)
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
