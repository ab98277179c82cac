package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"
)

// Wake has a release run that sleeps: its companions first, then its container,
// until it is healthy, and tells the supervisor where it is. What is gone is made anew.
// The supervisor calls it, in a process of its own. It only tells that of what runs already,
// and at once of a release that is about to be published.
//
// A deploy of the next version may hold the app's lock for minutes. Meanwhile, what
// is there is started without it; only what is not there has to wait.
func (l *Lifecycle) Wake(ctx context.Context, app, release string, log *Log) error {
	d, err := l.findRelease(app, release, log)
	if err != nil {
		return err
	}
	serves := d.record.Serves() && (d.record.Live.ID == release || d.record.replaced(release))
	if serves { // before Podman is asked: fifty at a time keep it from starting any
		free, err := l.Records.takeSlot(ctx, d.record.ProjectID)
		if err != nil {
			return err
		}
		defer free()
		defer time.AfterFunc(slotTime, free).Stop()
	}
	there, err := l.containersOf(ctx, app)
	if err != nil {
		return err
	}
	runs := d.allRun(there)
	if runs {
		if steady, err := d.steady(ctx); err != nil {
			return err
		} else if steady {
			return d.point(ctx)
		}
	}
	if !serves {
		return &Failure{
			What: fmt.Sprintf("release %s of review app %q does not run, and it is not the one that serves", release, app),
			Hint: "\"review-executor sync\" removes what is left of it",
		}
	}
	if runs { // again and again
		if err := l.Containers.Stop(ctx, containerName(app, d.next), l.Limits.StopGrace); err != nil {
			return err
		}
	}
	if err := d.wake(ctx); err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		return errors.Join(err, l.Sleep(ending, app, release))
	}
	return d.point(ctx)
}

// steady tells whether the app's container, which runs, can be taken for awake. The engine
// starts one that ends again and again, and then it runs for moments only.
func (d *deploy) steady(ctx context.Context) (bool, error) {
	name := containerName(d.app.Name, d.next)
	state, err := d.Containers.State(ctx, name)
	if err != nil || state.Restarts == 0 || d.next.Image == "" { // whoever is about to publish it looks at that
		return err == nil, err
	}
	d.id, d.address = name, state.Backend
	if d.image, err = d.Containers.Image(ctx, d.next.Image); err != nil {
		return false, d.lost(err)
	}
	probe := d.probeHTTP
	if d.image.HealthCheck {
		probe = d.probeHealthCheck
	}
	healthy, _ := probe(ctx)
	return healthy, nil
}

// Sleep ends a release that nobody asks for, and its companions unless a job or
// a deploy needs them. Volumes stay. The supervisor calls it, also while a deploy
// removes the release.
func (l *Lifecycle) Sleep(ctx context.Context, app, release string) error {
	if err := errors.Join(CheckLabel(app), CheckRelease(release)); err != nil {
		return err
	}
	err := l.Containers.Stop(ctx, containerName(app, Release{ID: release}), l.Limits.StopGrace)
	unlock, locked := l.Records.TryLock(app)
	if unlock == nil {
		return errors.Join(err, locked) // a deploy goes on
	}
	defer unlock()
	record, unread := l.Records.Load(app)
	if unread != nil || record == nil || record.Live.ID != release || len(l.withoutGone(*record).Pending) > 0 {
		return errors.Join(err, unread)
	}
	return errors.Join(err, l.stopCompanions(ctx, app, record.Live))
}

// stopCompanions ends the release's companions, which stay for its next wake.
func (l *Lifecycle) stopCompanions(ctx context.Context, app string, release Release) error {
	var group errgroup.Group
	for _, c := range release.Companions {
		group.Go(func() error { return l.Containers.Stop(ctx, companionContainer(app, c), l.Limits.StopGrace) })
	}
	return group.Wait()
}

// replaced tells whether the release is the one before: until the front has switched,
// requests still come to it.
func (r Record) replaced(release string) bool { return r.Previous != nil && r.Previous.ID == release }

// findRelease is the release with what the record tells of it: no more than its name if
// the record does not name it yet.
func (l *Lifecycle) findRelease(app, release string, log *Log) (*deploy, error) {
	if err := errors.Join(CheckLabel(app), CheckRelease(release)); err != nil {
		return nil, err
	}
	record, err := l.Records.Load(app)
	if err != nil {
		return nil, unreadable(app, err)
	}
	if record == nil || record.Live.ID != release && !record.replaced(release) {
		unnamed := Release{ID: release, Socket: true}
		return &deploy{Lifecycle: l, app: App{Name: app}, log: log, next: unnamed}, nil
	}
	r := l.withoutGone(*record)
	next := r.Live
	if next.ID != release {
		next = *r.Previous
	}
	secrets, err := l.Records.LoadSecrets(app, release)
	if err != nil {
		return nil, err
	}
	return &deploy{Lifecycle: l, app: r.App, log: log, record: r, next: next, secrets: secrets}, nil
}

func (l *Lifecycle) containersOf(ctx context.Context, app string) ([]Object, error) {
	return l.Containers.Objects(ctx, map[string]string{LabelApp: app})
}

// wake starts what does not run.
func (d *deploy) wake(ctx context.Context) error {
	unlock, there, err := d.lockOrFind(ctx)
	if err != nil {
		return err
	}
	if unlock == nil {
		return d.resume(ctx, there)
	}
	defer unlock()
	now, err := d.findRelease(d.app.Name, d.next.ID, d.log)
	if err != nil {
		return err
	}
	*d = *now
	if !d.record.Serves() || d.record.Live.ID != d.next.ID {
		return fmt.Errorf("release %s of %s was replaced meanwhile", d.next.ID, d.app.Name)
	}
	if there, err = d.containersOf(ctx, d.app.Name); err != nil {
		return err
	}
	_, err = d.heal(ctx, there)
	return err
}

// lockOrFind returns with the app's lock, or, while somebody else has it, as soon as all
// containers are there. Who has it may wait for this very wake, once it has made what is
// missing.
func (d *deploy) lockOrFind(ctx context.Context) (unlock func(), there []Object, err error) {
	for {
		if unlock, err = d.Records.TryLock(d.app.Name); unlock != nil || err != nil {
			return unlock, nil, err
		}
		if there, err = d.containersOf(ctx, d.app.Name); err != nil || d.allThere(there) {
			return nil, there, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(wakePoll):
		}
	}
}

// resume starts again what has ended, without the app's lock.
func (d *deploy) resume(ctx context.Context, there []Object) error {
	for _, c := range d.next.Companions {
		if d.yields(c, there) {
			continue
		}
		if err := d.startCompanion(ctx, c, there); err != nil {
			return err
		}
	}
	name := containerName(d.app.Name, d.next)
	var err error
	if d.image, err = d.Containers.Image(ctx, d.next.Image); err != nil {
		return d.lost(err)
	}
	if !has(there, name, true) {
		if err := d.Containers.Resume(ctx, name); err != nil {
			return err
		}
	}
	if err := d.locate(ctx, name); err != nil {
		return err
	}
	return d.waitHealthy(ctx)
}

// wanted are the containers that the release is.
func (d *deploy) wanted(there []Object) []string {
	names := []string{containerName(d.app.Name, d.next)}
	for _, c := range d.next.Companions {
		if !d.yields(c, there) {
			names = append(names, companionContainer(d.app.Name, c))
		}
	}
	return names
}

// yields tells whether a companion has made room for another, which a job that goes
// on has brought.
func (d *deploy) yields(c Companion, there []Object) bool {
	return slices.ContainsFunc(d.record.Pending, func(p Pending) bool {
		return slices.ContainsFunc(p.Companions, func(other Companion) bool {
			return other.Name == c.Name && other.Since != c.Since && slices.ContainsFunc(there, func(o Object) bool {
				return o.Kind == "container" && o.Name == companionContainer(d.app.Name, other)
			})
		})
	})
}

func (d *deploy) allThere(there []Object) bool {
	return !slices.ContainsFunc(d.wanted(there), func(name string) bool { return !has(there, name, false) })
}

func (d *deploy) allRun(there []Object) bool {
	return !slices.ContainsFunc(d.wanted(there), func(name string) bool { return !has(there, name, true) })
}

func has(there []Object, container string, running bool) bool {
	return slices.ContainsFunc(there, func(o Object) bool {
		return o.Kind == "container" && o.Name == container && (o.Running || !running)
	})
}

// locate finds out where the container is published.
func (d *deploy) locate(ctx context.Context, container string) error {
	state, err := d.Containers.State(ctx, container)
	d.id, d.address = container, state.Backend
	if err == nil && !d.next.Socket {
		d.next.Backend = d.address
	}
	return err
}

// point tells the supervisor where the release is.
func (d *deploy) point(ctx context.Context) error {
	if err := d.locate(ctx, containerName(d.app.Name, d.next)); err != nil {
		return err
	}
	return d.Supervisor.Point(d.app.Name, d.next.ID, d.address)
}

// wakePoll is how often a wake looks whether it can go on.
const wakePoll = 200 * time.Millisecond

// slotPoll is how often a process looks for a free slot.
const slotPoll = 50 * time.Millisecond

// slotTime is for how long an app that starts keeps others from it. One that takes longer
// waits for something else than the host.
const slotTime = 30 * time.Second

// takeSlot waits until few enough apps start, so that after a reboot not all of them
// start at once. A process that ends lets go of its slot. One project's apps never have
// all of them: the first is for a project that has none of the others.
func (r *Records) takeSlot(ctx context.Context, project int64) (free func(), err error) {
	dir := filepath.Join(r.dir, "locks")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("wait for others that wake: %w", err)
	}
	owner := strconv.AppendInt(nil, project, 10)
	tick := time.NewTicker(slotPoll)
	defer tick.Stop()
	for {
		mine := false
		for i := max(4, 2*runtime.NumCPU()) - 1; i > 0 || i == 0 && !mine; i-- {
			slot := flock.New(filepath.Join(dir, fmt.Sprintf("_wake%d", i)), flock.SetPermissions(0o640))
			locked, err := slot.TryLock()
			if locked {
				_ = os.WriteFile(slot.Path(), owner, 0o640) //nolint:gosec // as its lock is
				return func() { _ = slot.Close() }, nil
			}
			holder, _ := os.ReadFile(slot.Path())
			mine = mine || bytes.Equal(holder, owner)
			_ = slot.Close()
			if err != nil {
				return nil, fmt.Errorf("wait for others that wake: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
