package review

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// leave brings an app to what the record says, which is one that was or would have
// been its own: after a deploy that failed, or a job that has given up.
func (l *Lifecycle) leave(ctx context.Context, record Record, drain bool) error {
	if record.Live.ID == "" && len(record.Pending) == 0 {
		return errors.Join(l.clear(ctx, record.Name, 0), l.Records.Delete(record.Name))
	}
	var saved error // on a full disk, the next sync drops what is pending
	if found, err := l.Records.Load(record.Name); err != nil || found == nil || len(found.Pending) != len(record.Pending) {
		saved = l.Records.Save(record)
	}
	_, restored := l.restore(ctx, record, nil)
	return errors.Join(saved, restored, l.sweep(ctx, record, drain))
}

// restore makes sure that the live release of the app runs, with its companions:
// started again if it has ended, made anew from its image if it is gone. It
// returns what was done; "": nothing.
func (l *Lifecycle) restore(ctx context.Context, record Record, log *Log) (did string, err error) {
	if !record.Serves() {
		return "", nil
	}
	secrets, err := l.Records.LoadSecrets(record.Name, record.Live.ID)
	if err != nil {
		return "", err
	}
	if log == nil {
		log = silent()
	}
	d := &deploy{Lifecycle: l, app: record.App, log: log, record: record, next: record.Live, secrets: secrets}
	if l.supervises(record.Live) {
		return d.restoreUnit(ctx)
	}
	d.next.Socket = false // of a host that had a supervisor once
	there, err := l.Containers.Objects(ctx, map[string]string{LabelApp: record.Name})
	if err != nil {
		return "", err
	}
	if has(there, containerName(record.Name, record.Live), true) {
		if _, err := d.heal(ctx, there); err != nil {
			return "", err
		}
		return d.follow(ctx, containerName(record.Name, record.Live))
	}
	return d.heal(ctx, there)
}

// heal starts what does not run of the release, companions first, and makes anew what
// is gone. It returns once the release is healthy that it has started, and
// says what it did; "": nothing.
func (d *deploy) heal(ctx context.Context, there []Object) (did string, err error) {
	before := d.record
	if err := d.noteLostVolumes(there); err != nil {
		return "", err
	}
	if err := d.startCompanions(ctx); err != nil {
		return "", err
	}
	if d.next.Static {
		return "", d.checkSite()
	}
	name := containerName(d.app.Name, d.next)
	if has(there, name, true) {
		return "", nil
	}
	if did, err = d.revive(ctx, name, has(there, name, false)); err != nil {
		return did, err
	}
	if d.next.Backend != before.Live.Backend {
		err = d.move(ctx)
	} else if d.record.IDs != before.IDs {
		err = d.Records.Save(d.record)
	}
	if err != nil {
		return did, err
	}
	published := d.next.Backend
	if err := d.waitHealthy(ctx); err != nil || d.next.Backend == published {
		return did, err
	}
	return did, d.move(ctx)
}

// follow makes the record and the front know where a release is that runs: it may
// have been moved by a process that was killed then.
func (d *deploy) follow(ctx context.Context, name string) (did string, err error) {
	state, err := d.Containers.State(ctx, name)
	if err != nil || state.Backend == "" || (state.Backend == d.record.Live.Backend && !d.record.Live.Socket) {
		return "", err
	}
	d.next.Backend = state.Backend
	return "found on " + state.Backend, d.move(ctx)
}

// revive starts the release that does not run, after its release command if data
// was lost.
func (d *deploy) revive(ctx context.Context, name string, exists bool) (did string, err error) {
	if d.image, err = d.Containers.Image(ctx, d.next.Image); err != nil {
		return "", d.lost(err)
	}
	if err := d.releaseAgain(ctx); err != nil {
		return "", err
	}
	if exists {
		err := d.Containers.Resume(ctx, name)
		if err == nil {
			return "started again", d.locate(ctx, name)
		}
		if !errors.Is(err, ErrPortTaken) {
			return "", err
		}
		gone := map[string]string{LabelApp: d.app.Name, LabelRole: RoleApp, LabelRelease: d.next.ID}
		if err := d.Containers.Remove(ctx, gone, 0); err != nil {
			return "", err
		}
	}
	if d.next.Port, err = d.port(d.image); err != nil {
		return "", err
	}
	port := uint16(0)
	if !d.next.Socket {
		port = hostPort(d.next.Backend) // where it was published before, so that the front need not change
	}
	return "made anew from its image", d.startOn(ctx, port)
}

// noteLostVolumes notes in the record, before they are made anew and empty, that
// volumes of the app or of its companions are gone.
func (d *deploy) noteLostVolumes(there []Object) error {
	lost := false
	look := func(companion string, paths []string) {
		for _, dir := range paths {
			name := volumeName(d.app.Name, companion, dir)
			lost = lost || !slices.ContainsFunc(there, func(o Object) bool { return o.Kind == "volume" && o.Name == name })
		}
	}
	look("", d.next.Volumes)
	for _, c := range d.next.Companions {
		look(c.Name, c.Volumes)
	}
	if !lost || d.next.ReleaseCommand == nil || d.record.Unreleased {
		return nil
	}
	d.record.Unreleased = true
	return d.Records.Save(d.record)
}

// releaseAgain runs the release command where data was lost.
func (d *deploy) releaseAgain(ctx context.Context) error {
	if !d.record.Unreleased {
		return nil
	}
	if err := d.removeReleaseCommand(ctx); err != nil { // of a process that was killed
		return err
	}
	if err := d.runReleaseCommand(ctx); err != nil {
		return err
	}
	d.record.Unreleased = false
	return d.Records.Save(d.record)
}

// move tells the record and the front where the release is now.
func (d *deploy) move(ctx context.Context) error {
	record := d.record
	record.Live = d.next
	if err := d.Records.Save(record); err != nil {
		return err
	}
	return d.serve(ctx, record)
}

// checkSite tells whether the files of a static release are there.
func (d *deploy) checkSite() error {
	_, err := os.Stat(d.Records.SiteDir(d.app.Name, d.next.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return d.lost(err)
	}
	return err
}

func (d *deploy) lost(err error) error {
	return &Failure{
		What:  fmt.Sprintf("review app %q cannot be restored: what its version %s was made of is gone", d.app.Name, shortSHA(d.next.SHA)),
		Cause: err,
		State: "it does not serve, and its record stays",
		Hint:  fmt.Sprintf("retry job %d in GitLab, or run \"review-executor stop %s\"", d.next.Job, d.app.Name),
	}
}
