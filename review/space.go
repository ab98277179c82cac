package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Space is what the host has left for apps.
type Space struct {
	Disk   Bytes // of the engine's store; negative: not known
	Memory Bytes // that can be had without swapping; negative: not known
}

// checkSpace refuses a deploy that would take the last of the disk or of the memory,
// with which the apps that serve could no longer do. First it removes what nobody needs.
func (d *deploy) checkSpace(ctx context.Context) error {
	if d.req.Settings.Static != "" {
		return nil // it takes neither
	}
	space, err := d.Containers.Space(ctx)
	if err != nil {
		return err
	}
	if short(space.Disk, d.Limits.DiskReserve) {
		d.log.Line("The disk has %s left; removing what builds have left and nobody needs", space.Disk)
		if _, err := d.Reclaim(ctx, Reclaim{All: true}, d.log); err != nil {
			d.log.Line("WARNING: not all of it could be removed: %v", err)
		}
		if space, err = d.Containers.Space(ctx); err != nil {
			return err
		}
	}
	if short(space.Memory, d.Limits.MemoryReserve) {
		if space, err = d.sleepOthers(ctx, space); err != nil {
			return err
		}
	}
	switch {
	case short(space.Disk, d.Limits.DiskReserve):
		return d.noSpace(ctx, fmt.Sprintf("the host's disk has %s left, and %s of it stay free", space.Disk, d.Limits.DiskReserve),
			"limits.disk_reserve", d.onDisk)
	case short(space.Memory, d.Limits.MemoryReserve):
		return d.noSpace(ctx, fmt.Sprintf("the host has %s of memory left, and %s of it stay free", space.Memory, d.Limits.MemoryReserve),
			"limits.memory_reserve", d.inMemory)
	}
	return nil
}

func short(left, reserve Bytes) bool { return left >= 0 && left < reserve }

// sleepOthers sends apps to sleep that nobody is connected to, those that have been awake
// for longest first, until there is memory. It leaves alone what must never sleep.
func (d *deploy) sleepOthers(ctx context.Context, space Space) (Space, error) {
	if d.Supervisor == nil {
		return space, nil
	}
	records, _, err := d.Records.All()
	if err != nil {
		return space, err
	}
	asleep, err := d.Asleep(ctx, records)
	if err != nil {
		return space, err
	}
	running, err := d.Containers.Consumption(ctx, map[string]string{LabelApp: AnyValue, LabelRole: RoleApp})
	if err != nil {
		return space, err
	}
	since := map[string]time.Time{}
	for _, c := range running {
		since[c.Labels[LabelApp]] = c.Started
	}
	records = slices.DeleteFunc(records, func(r Record) bool {
		return r.Name == d.app.Name || !r.Serves() || !r.Live.Socket || asleep[r.Name] || d.Limits.sleepAfter(r.Live) == Never
	})
	slices.SortStableFunc(records, func(a, b Record) int { return since[a.Name].Compare(since[b.Name]) })
	for _, r := range records {
		if !short(space.Memory, d.Limits.MemoryReserve) {
			break
		}
		if !d.idle(ctx, r.Live.Backend) {
			continue
		}
		if err := d.Supervisor.Stop(ctx, r.Name, r.Live.ID); err != nil {
			return space, err
		}
		d.log.Line("The host has %s of memory left; sent %s to sleep, which its next request wakes", space.Memory, r.Name)
		if space, err = d.Containers.Space(ctx); err != nil {
			return space, err
		}
	}
	return space, nil
}

// idleWithin is how long an app's connections are looked at.
const idleWithin = 2 * time.Second

// idle tells whether nobody is connected to the backend.
func (d *deploy) idle(ctx context.Context, backend string) bool {
	within, cancel := context.WithTimeout(ctx, idleWithin)
	defer cancel()
	d.Front.Drain(within, backend)
	return within.Err() == nil
}

// noSpace names the apps that hold most, whose end would make room.
func (d *deploy) noSpace(ctx context.Context, what, rule string, measure func(context.Context) (map[string]Bytes, error)) error {
	f := &Failure{
		What: what,
		Hint: fmt.Sprintf("stop an app that nobody needs, in GitLab under Operate > Environments, and retry this job; the limit is %s", rule),
	}
	held, err := measure(ctx)
	if err != nil {
		return f // without the list
	}
	records, _, err := d.Records.All()
	if err != nil {
		return f
	}
	records = slices.DeleteFunc(records, func(r Record) bool { return held[r.Name] == 0 })
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(held[b.Name], held[a.Name]) })
	if len(records) > 0 {
		f.Lines = []string{"the apps that hold most of it are:"}
	}
	for _, r := range records[:min(len(records), oldestListed)] {
		f.Lines = append(f.Lines, fmt.Sprintf("  %s of %s, %s, deployed %s", r.Name, r.Project, held[r.Name], r.Live.Deployed.Format(time.DateTime)))
	}
	return f
}

// onDisk is what each app alone holds in the engine's store.
func (l *Lifecycle) onDisk(ctx context.Context) (map[string]Bytes, error) {
	stored, err := l.Containers.Stored(ctx, map[string]string{LabelApp: AnyValue})
	held := map[string]Bytes{}
	for _, s := range stored {
		held[s.Labels[LabelApp]] += s.Size
	}
	return held, err
}

// inMemory is what the containers of each app use.
func (l *Lifecycle) inMemory(ctx context.Context) (map[string]Bytes, error) {
	running, err := l.Containers.Consumption(ctx, map[string]string{LabelApp: AnyValue})
	held := map[string]Bytes{}
	for _, c := range running {
		held[c.Labels[LabelApp]] += c.Memory
	}
	return held, err
}
