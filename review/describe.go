package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// Description is everything that a person may ask about one app, and no secret.
type Description struct {
	Record    Record
	URL       string
	Asleep    bool      // until its next request
	Used      time.Time // when somebody was last connected to it; zero: it sleeps, or that is not known
	Variables []string  // names of the app's own, sorted
	// Limits of each of its containers; 0: none.
	Memory Bytes
	CPUs   float64
	// Containers that the record names, and others of the app.
	Containers []ContainerStatus
	ImageSize  Bytes // of the release that serves, with all of its layers
	// Rollback is nil if the version before can be brought back.
	Rollback error
	Disk     Bytes     // of all that is the app's, when it was last measured
	Measured time.Time // zero: never yet
	// Engine is why the container engine, or the supervisor, could not be asked.
	Engine error
}

// ContainerStatus is how one container of an app does.
type ContainerStatus struct {
	Name      string
	Role      string // of its label
	Companion string // its name; "": it is none
	Unknown   bool   // the engine could not be asked
	Missing   bool   // the record names it, and there is none
	State     State
	Uses      Consumption // zero: it does not run
}

// Describe tells of an app. Without a container engine it tells what the record
// says, and why that is all: nobody waits for an engine that is not there.
func (l *Lifecycle) Describe(ctx context.Context, name string) (Description, error) {
	record, err := l.Records.Load(name)
	if err != nil {
		return Description{}, unreadable(name, err)
	}
	if record == nil {
		return Description{}, l.noSuchApp(name)
	}
	d := Description{Record: *record, URL: l.Front.URL(record.Host)}
	limits := (&deploy{Lifecycle: l, next: record.Live}).isolation()
	d.Memory, d.CPUs = limits.Memory, limits.CPUs
	if record.Live.ID != "" {
		secrets, err := l.Records.LoadSecrets(name, record.Live.ID)
		if err != nil {
			return d, err
		}
		d.Variables = slices.Sorted(maps.Keys(secrets.App))
	}
	if usage, err := l.Records.lastReading(); err == nil {
		d.Disk, d.Measured = usage.Disk[name], usage.DiskAt
	}
	d.Rollback = l.checkRollback(*record)
	d.Containers = recorded(*record)
	asleep, err := l.Asleep(ctx, []Record{*record})
	d.Asleep = asleep[name]
	d.Engine = err
	if l.Containers != nil {
		d.Engine = errors.Join(d.Engine, l.describeContainers(ctx, &d))
	}
	if err == nil && record.Live.Socket && !d.Asleep && l.Supervisor != nil { // last: it may be "now"
		used, err := l.Supervisor.LastUsed(ctx, name, record.Live.ID)
		d.Used, d.Engine = used, errors.Join(d.Engine, err)
	}
	return d, nil
}

// checkRollback says why there is nothing to go back to, as far as the record and
// the files tell.
func (l *Lifecycle) checkRollback(record Record) error {
	if record.Live.ID == "" || record.Previous == nil {
		return fmt.Errorf("there is no version before")
	}
	if record.Previous.Static {
		if _, err := os.Stat(l.Records.SiteDir(record.Name, record.Previous.ID)); err != nil {
			return fmt.Errorf("the files of version %s are gone", shortSHA(record.Previous.SHA))
		}
	}
	return nil
}

func (l *Lifecycle) describeContainers(ctx context.Context, d *Description) error {
	there, err := l.Containers.Objects(ctx, map[string]string{LabelApp: d.Record.Name})
	if err != nil {
		return err
	}
	uses, err := l.Containers.Consumption(ctx, map[string]string{LabelApp: d.Record.Name})
	if err != nil {
		uses = nil // an engine may be unable to tell; the rest is worth having
	}
	d.Containers = l.statuses(ctx, d.Record, there, uses)
	if d.Record.Live.Image != "" {
		if image, err := l.Containers.Image(ctx, d.Record.Live.Image); err == nil {
			d.ImageSize = image.Size
		}
	}
	if before := d.Record.Previous; d.Rollback == nil && !before.Static {
		if _, err := l.Containers.Image(ctx, before.Image); err != nil {
			d.Rollback = fmt.Errorf("the image of version %s is gone", shortSHA(before.SHA))
		}
	}
	return nil
}

// recorded are the containers that the record names, of which nothing is known yet.
func recorded(record Record) []ContainerStatus {
	var all []ContainerStatus
	if record.Live.ID != "" && !record.Live.Static {
		all = append(all, ContainerStatus{Name: containerName(record.Name, record.Live), Role: RoleApp, Unknown: true})
	}
	for _, c := range record.Live.Companions {
		all = append(all, ContainerStatus{Name: companionContainer(record.Name, c), Role: RoleCompanion, Companion: c.Name, Unknown: true})
	}
	return all
}

// statuses are those of the containers that the record names, and then of any others.
func (l *Lifecycle) statuses(ctx context.Context, record Record, there []Object, uses []Consumption) []ContainerStatus {
	all := recorded(record)
	for _, o := range there {
		known := slices.ContainsFunc(all, func(c ContainerStatus) bool { return c.Name == o.Name })
		if o.Kind == "container" && !known {
			all = append(all, ContainerStatus{Name: o.Name, Role: o.Labels[LabelRole], Companion: o.Labels[LabelCompanion]})
		}
	}
	for i := range all {
		c := &all[i]
		state, err := l.Containers.State(ctx, c.Name)
		c.Unknown, c.Missing, c.State = false, err != nil, state
		if i := slices.IndexFunc(uses, func(u Consumption) bool { return u.Name == c.Name }); i >= 0 {
			c.Uses = uses[i]
		}
	}
	return all
}
