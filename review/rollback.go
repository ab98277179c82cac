package review

import (
	"context"
	"fmt"
	"time"
)

// Rollback brings back the release before the one that serves, from the image
// that was kept, as a deploy does: new beside old, health before traffic. The
// release command does not run. Rolling back twice ends where it began.
func (l *Lifecycle) Rollback(ctx context.Context, app App, log *Log) error {
	unlock, err := l.lock(ctx, app, log)
	if err != nil {
		return err
	}
	defer unlock()
	record, err := l.claim(app, 0)
	if err != nil {
		return err
	}
	if record.Live.ID == "" || record.Previous == nil {
		return &Failure{
			What:  fmt.Sprintf("there is no version of review app %q before the one that serves", app.Name),
			State: "nothing was changed",
			Hint:  "a redeploy keeps the version before it; run the job of the wanted commit again",
		}
	}
	d := &deploy{Lifecycle: l, app: record.App, log: log, record: record, next: *record.Previous}
	d.next.Deployed = time.Now().UTC().Truncate(time.Second)
	d.next.Backend, d.next.Socket = "", false
	d.next.Requested = time.Time{} // it is wanted now, whatever has ended since its pipeline
	if d.secrets, err = l.Records.LoadSecrets(app.Name, d.next.ID); err != nil {
		return err
	}
	return d.run(ctx, fmt.Sprintf("Rolling review app %s back to version %s", app.Name, shortSHA(d.next.SHA)), []step{
		{"recover", d.recover},
		{"find image", d.findImage},
		{"start companions", d.startCompanions},
		{"start", d.start},
		{"wait until healthy", d.waitHealthy},
		{"listen", d.listen},
		{"publish", d.publish},
		{"retire", d.retire},
	})
}

func (d *deploy) findImage(ctx context.Context) (err error) {
	if d.next.Static {
		return d.checkSite()
	}
	if d.image, err = d.Containers.Image(ctx, d.next.Image); err != nil {
		return &Failure{
			What:  fmt.Sprintf("the image of version %s of review app %q is gone", shortSHA(d.next.SHA), d.app.Name),
			Cause: err,
			Hint:  fmt.Sprintf("retry job %d in GitLab", d.next.Job),
		}
	}
	return nil
}
