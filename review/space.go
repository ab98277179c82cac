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
// with which the apps that serve could no longer do.
func (d *deploy) checkSpace(ctx context.Context) error {
	if d.req.Settings.Static != "" {
		return nil // it takes neither
	}
	space, err := d.relieve(ctx, d.app.Name, d.log)
	if err != nil {
		return err
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

// Relieve makes room on a host that is short of disk or of memory: what builds have left and
// nobody needs goes, and apps that nobody is connected to are sent to sleep.
func (l *Lifecycle) Relieve(ctx context.Context, log *Log) error {
	space, err := l.relieve(ctx, "", log)
	if err != nil {
		return err
	}
	if short(space.Disk, l.Limits.DiskReserve) {
		log.Line("WARNING: the disk of Podman's store has %s left, and deploys are refused (limits.disk_reserve)", space.Disk)
	}
	if short(space.Memory, l.Limits.MemoryReserve) {
		log.Line("WARNING: the host has %s of memory left, and deploys are refused (limits.memory_reserve)", space.Memory)
	}
	return nil
}

// relieve is Relieve without sending the app but to sleep. It returns what is left then.
func (l *Lifecycle) relieve(ctx context.Context, but string, log *Log) (Space, error) {
	space, err := l.Containers.Space(ctx)
	if err == nil && short(space.Disk, l.Limits.DiskReserve) {
		log.Line("The disk has %s left; removing what builds have left and nobody needs", space.Disk)
		if _, err := l.Reclaim(ctx, Reclaim{All: true}, log); err != nil {
			log.Line("WARNING: not all of it could be removed: %v", err)
		}
		space, err = l.Containers.Space(ctx)
	}
	if err == nil && short(space.Memory, l.Limits.MemoryReserve) && l.Supervisor != nil {
		space, err = l.sleepOthers(ctx, but, space, log)
	}
	return space, err
}

func short(left, reserve Bytes) bool { return left >= 0 && left < reserve }

// sleepOthers sends apps to sleep that nobody is connected to, the least recently used
// first, until there is memory. It leaves alone what must never sleep.
func (l *Lifecycle) sleepOthers(ctx context.Context, but string, space Space, log *Log) (Space, error) {
	records, _, err := l.Records.All()
	if err != nil {
		return space, err
	}
	asleep, err := l.Asleep(ctx, records)
	if err != nil {
		return space, err
	}
	records = slices.DeleteFunc(records, func(r Record) bool {
		return r.Name == but || !r.Serves() || !r.Live.Socket || asleep[r.Name] || l.Limits.sleepAfter(r.Live) == Never
	})
	l.leastUsedFirst(ctx, records)
	for _, r := range records {
		if !short(space.Memory, l.Limits.MemoryReserve) {
			break
		}
		if !l.idle(ctx, r.Live.Backend) {
			continue
		}
		if err := l.Supervisor.Stop(ctx, r.Name, r.Live.ID); err != nil { // somebody may just have asked for it
			log.Line("WARNING: %s was not sent to sleep: %v", r.Name, err)
			continue
		}
		log.Line("The host has %s of memory left; sent %s to sleep, which its next request wakes", space.Memory, r.Name)
		if space, err = l.Containers.Space(ctx); err != nil {
			return space, err
		}
	}
	return space, nil
}

// leastUsedFirst sorts apps that are awake by when they were last used, or else, where that
// is not known, by when they were started.
func (l *Lifecycle) leastUsedFirst(ctx context.Context, records []Record) {
	running, _ := l.Containers.Consumption(ctx, map[string]string{LabelApp: AnyValue, LabelRole: RoleApp}) // not with cgroup v1
	since := map[string]time.Time{}
	for _, c := range running {
		since[c.Labels[LabelApp]] = c.Started
	}
	for _, r := range records {
		if used, err := l.Supervisor.LastUsed(ctx, r.Name, r.Live.ID); err == nil && !used.IsZero() {
			since[r.Name] = used
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return since[a.Name].Compare(since[b.Name]) })
}

// idleWithin is how long an app's connections are looked at.
const idleWithin = 2 * time.Second

// idle tells whether nobody is connected to the backend.
func (l *Lifecycle) idle(ctx context.Context, backend string) bool {
	within, cancel := context.WithTimeout(ctx, idleWithin)
	defer cancel()
	l.Front.Drain(within, backend)
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
