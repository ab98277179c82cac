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
	if _, err := l.restore(ctx, record, nil); err != nil {
		return errors.Join(saved, err)
	}
	return errors.Join(saved, l.sweep(ctx, record, drain))
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
	if err := d.startCompanions(ctx); err != nil {
		return "", err
	}
	if record.Live.Static {
		return "", d.checkSite()
	}
	there, err := l.Containers.Objects(ctx, map[string]string{LabelApp: record.Name, LabelRole: RoleApp, LabelRelease: record.Live.ID})
	if err != nil {
		return "", err
	}
	name := containerName(record.Name, record.Live)
	i := slices.IndexFunc(there, func(o Object) bool { return o.Kind == "container" && o.Name == name })
	switch {
	case i >= 0 && there[i].Running:
		return "", nil
	case i >= 0:
		did, err = "started again", d.resume(ctx, name)
	default:
		did, err = "made anew from its image", d.remake(ctx)
	}
	if err == nil {
		err = d.waitHealthy(ctx)
	}
	if err == nil && d.next.Backend != record.Live.Backend {
		err = d.move(ctx)
	}
	return did, err
}

func (d *deploy) resume(ctx context.Context, name string) (err error) {
	d.id = name
	if err := d.Containers.Resume(ctx, name); err != nil {
		return err
	}
	d.image, err = d.Containers.Image(ctx, d.next.Image)
	return err
}

// remake starts the release from its image, where it was published before if that
// port is still free, so that the front need not change. On new, empty volumes
// its release command runs first.
func (d *deploy) remake(ctx context.Context) (err error) {
	d.image, err = d.Containers.Image(ctx, d.next.Image)
	if err != nil {
		return d.lost(err)
	}
	_, made, err := d.volumes(ctx, "", d.next.Volumes)
	if err != nil {
		return err
	}
	if made {
		if err := d.runReleaseCommand(ctx); err != nil {
			return err
		}
	}
	if d.next.Port, err = d.port(d.image); err != nil {
		return err
	}
	return d.startOn(ctx, hostPort(d.next.Backend))
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
