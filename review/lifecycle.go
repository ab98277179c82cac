package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Lifecycle deploys and stops review apps, and keeps them as their records say.
type Lifecycle struct {
	Records    *Records
	Containers Containers
	Front      Front
	// FrontUnit changes the front in the place of this process; nil: it does so itself.
	FrontUnit  FrontUnit
	Forge      Forge      // nil: GitLab cannot be asked
	Notes      *Notes     // nil: no comments on merge requests
	Supervisor Supervisor // nil: apps never sleep, and the engine alone starts them
	Pages      Pages      // nil: none
	// Unwritten, if set, is told why the pages could not be written. Nothing else
	// fails by that.
	Unwritten func(error)
	Domain    string
	Limits    Limits
	Isolation Isolation
	Lifetime  Lifetime
	// Gone tells whether the owner of a pending release is no more. nil: it never is.
	Gone func(owner string) bool
	// Done, if set, is told every step that was done for an app.
	Done func(app, step string)
}

// App names the app that a request means. No record is looked at.
func (l *Lifecycle) App(req Request) (App, error) {
	name, err := req.Hostname.Label(req.ProjectID, req.Project, req.Environment)
	if err != nil {
		return App{}, &Failure{
			Kind:  Build,
			What:  "this environment cannot have a review app",
			Cause: err,
			State: "nothing was changed",
			Hint:  `name the environment after the branch: "name: review/$CI_COMMIT_REF_SLUG"`,
		}
	}
	return App{
		Name:        name,
		Host:        name + "." + l.Domain,
		ProjectID:   req.ProjectID,
		Project:     req.Project,
		Environment: req.Environment,
	}, nil
}

// Deploy builds the branch, starts it, waits until it is healthy, publishes it
// and only then retires the release before. When a step fails, what the deploy
// made is gone again and the release before goes on serving. When it is killed,
// the next deploy or Sync does the same.
func (l *Lifecycle) Deploy(ctx context.Context, req Request) (App, error) {
	app, err := l.App(req)
	if err != nil {
		return app, err
	}
	unlock, err := l.lock(ctx, app, req.Log)
	if err != nil {
		return app, err
	}
	defer unlock()
	d, err := l.newDeploy(app, req)
	if err != nil {
		return app, err
	}
	ctx, d.unwatch = l.watchStop(ctx, app.Name, d.req.Began)
	defer d.unwatch()
	return app, d.run(ctx, fmt.Sprintf("Deploying review app %s", app.Name), []step{
		{"recover", d.recover},
		{"check room", d.checkRoom},
		{"check space", d.checkSpace},
		{"keep environment", d.saveSecrets},
		{"make image", d.makeImage},
		{"check space again", d.checkSpace}, // others were built meanwhile
		{"start companions", d.startCompanions},
		{"run release command", d.runReleaseCommand},
		{"start", d.start},
		{"wait until healthy", d.waitHealthy},
		{"ask whether it is still wanted", d.stillWanted},
		{"listen", d.listen},
		{"publish", d.publish},
		{"retire", d.retire},
		{"prune build cache", d.pruneBuildCache},
	})
}

// deploy is one run of Deploy or Rollback: what there was, and the release to come.
type deploy struct {
	*Lifecycle
	app          App
	req          Request // zero when no job asks for the release
	log          *Log
	record       Record // as it was found
	next         Release
	secrets      Secrets // of next
	image        Image   // of next
	id           string  // of the new container
	address      string  // where the container is published
	switched     bool    // the front was told to send requests to the new release
	mergeRequest int64   // that the comment belongs to; 0: not known, or none
	unwatch      func()  // from here on, a stop waits until the deploy is done
	// stuck is why the record or the front could not be brought back after a
	// failure. Then the front may send requests to either release, and both stay.
	stuck error
}

// step is one step of a deploy, a stop or a rollback. Each is safe to repeat.
type step struct {
	name string
	do   func(context.Context) error
}

// newDeploy claims the app's host name and looks at what is there. Nothing is
// changed yet.
func (l *Lifecycle) newDeploy(app App, req Request) (*deploy, error) {
	record, err := l.claim(app, req.Pipeline)
	if err != nil {
		return nil, err
	}
	if req.Began.IsZero() {
		req.Began = time.Now()
	}
	if l.stoppedSince(app, req.Began) {
		return nil, remaining(stoppedMeanwhile(app.Name), "nothing was changed")
	}
	d := &deploy{Lifecycle: l, app: app, req: req, log: req.Log, record: record, next: newRelease(req)}
	if err := d.checkLimits(); err != nil {
		return nil, err
	}
	if record.Live.ID == d.next.ID || (record.Previous != nil && record.Previous.ID == d.next.ID) {
		return nil, fmt.Errorf("job %d has already deployed %s", req.Job, d.next.ID)
	}
	pending := slices.IndexFunc(record.Pending, func(p Pending) bool { return p.ID == d.next.ID })
	if pending >= 0 {
		d.next.Companions = record.Pending[pending].Companions
	} else if req.Prepared {
		return nil, remaining(stoppedMeanwhile(app.Name), "nothing was changed")
	}
	return d, nil
}

// run goes through the steps. When one fails, what was made is undone.
func (d *deploy) run(ctx context.Context, title string, steps []step) error {
	d.log.Line("%s", title)
	d.attempted(ctx, nil)
	for _, step := range steps {
		if err := step.do(ctx); err != nil {
			if ctx.Err() != nil {
				err = cancelled(ctx, d.app.Name)
			}
			err = remaining(err, d.undo(ctx))
			d.attempted(context.WithoutCancel(ctx), err)
			d.note(ctx, err)
			return err
		}
		d.done(d.app.Name, step.name)
	}
	d.note(ctx, nil)
	d.log.Line("Ready: %s", d.Front.URL(d.app.Host))
	return nil
}

// cancelled says why a deploy was ended from outside.
func cancelled(ctx context.Context, app string) error {
	if errors.Is(context.Cause(ctx), errStopped) {
		return stoppedMeanwhile(app)
	}
	return &Failure{What: fmt.Sprintf("the deploy of review app %q was cancelled", app)}
}

func (l *Lifecycle) done(app, step string) {
	if l.Done != nil {
		l.Done(app, step)
	}
}

func (l *Lifecycle) lock(ctx context.Context, app App, log *Log) (func(), error) {
	if err := l.Records.Begin(); err != nil {
		return nil, err
	}
	return l.Records.Lock(ctx, app.Name, func() {
		log.Line("Waiting for another job that works on review app %s", app.Name)
	})
}

// claim makes sure that the app's host name is its own and that nothing newer
// was deployed, and returns its record: an empty one if the app is new.
func (l *Lifecycle) claim(app App, pipeline int64) (Record, error) {
	record, err := l.Records.Load(app.Name)
	if err != nil {
		return Record{}, unreadable(app.Name, err)
	}
	if record == nil {
		return Record{App: app}, nil
	}
	if !record.owns(app) {
		return Record{}, ownedBy(*record)
	}
	if record.Stopping {
		return Record{App: app}, nil // what is left of it goes with the rest
	}
	if pipeline != 0 && pipeline < record.Pipeline {
		return Record{}, outdated(*record, pipeline)
	}
	return l.withoutGone(*record), nil
}

// withoutGone is the record without the pending releases of jobs that are over.
func (l *Lifecycle) withoutGone(record Record) Record {
	record.Pending = slices.DeleteFunc(slices.Clone(record.Pending), func(p Pending) bool { return l.Gone != nil && l.Gone(p.Owner) })
	return record
}

func unreadable(app string, err error) error {
	return &Failure{
		What:  fmt.Sprintf("the record of review app %q cannot be read", app),
		Cause: err,
		State: "nothing was changed",
		Hint:  fmt.Sprintf("not your branch: ask the host's administrator to look at that file; without it, \"review-executor stop %s\" removes the app", app),
	}
}

func ownedBy(owner Record) error {
	what := fmt.Sprintf("%s already serves %s, environment %q, branch %q (job %d)",
		owner.Host, owner.Project, owner.Environment, Printable(owner.Live.Ref, 80), owner.Live.Job)
	if owner.Live.ID == "" {
		what = fmt.Sprintf("%s is already being deployed for %s, environment %q", owner.Host, owner.Project, owner.Environment)
	}
	return &Failure{
		Kind:  Build,
		What:  what,
		State: "nothing was changed",
		Hint:  "stop that environment, or rename this one",
	}
}

func outdated(record Record, pipeline int64) error {
	return &Failure{
		Kind:  Build,
		What:  fmt.Sprintf("pipeline %d is older than pipeline %d, which has already deployed review app %q", pipeline, record.Pipeline, record.Name),
		State: fmt.Sprintf("nothing was changed; the version of %s is still serving", shortSHA(record.Live.SHA)),
		Hint:  fmt.Sprintf("run a new pipeline for this commit if it shall be served; the administrator can go back with \"review-executor rollback %s\"", record.Name),
	}
}

// recover removes what killed deploys of this app have left: everything that the
// record does not name. First it makes sure that the front does as the record
// says: it may still send requests to a release that the record no longer knows.
func (d *deploy) recover(ctx context.Context) error {
	if !d.record.Serves() && len(d.record.Pending) == 0 {
		return d.clear(ctx, d.app.Name, 0)
	}
	refused, err := d.ApplyFront(ctx)
	if why := refused[d.app.Name]; why != nil {
		d.log.Line("WARNING: the front refuses what the app has so far, so nothing of it is removed yet: %v", why)
	}
	if err != nil || refused[d.app.Name] != nil {
		return err // what serves is not known
	}
	return d.sweep(ctx, d.record, true)
}

// undo removes what the deploy made, and says what state remains. It works
// even when the job was cancelled.
func (d *deploy) undo(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if d.stuck != nil {
		return fmt.Sprintf("what was published before could not be restored (%v); what runs is left running, deploy again", d.stuck)
	}
	if err := d.leave(ctx, d.record.without(d.next.Job), d.switched); err != nil {
		return fmt.Sprintf("not everything is as it was before (%v); the next deploy and \"review-executor sync\" try again", err)
	}
	if d.record.Live.ID == "" {
		return "what this deploy made was removed; the app was not deployed before"
	}
	return fmt.Sprintf("what this deploy made was removed; the version of %s is still serving", shortSHA(d.record.Live.SHA))
}

const undoTimeout = time.Minute
