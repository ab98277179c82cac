package review

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Limits bounds what a deploy may take of the host.
type Limits struct {
	// How long an app may take to become healthy, unless the project says otherwise with REVIEW_HEALTH_TIMEOUT.
	HealthTimeout time.Duration `toml:"health_timeout"`
	// How long the release before may take to finish its requests after a redeploy.
	Drain time.Duration `toml:"drain"`
	// How long the build of an image may take.
	BuildTimeout time.Duration `toml:"build_timeout"`
	// Disk that the layers of earlier builds may hold which no app uses: they make the next builds quick. "0" is no limit.
	BuildCache Bytes `toml:"build_cache"`
	// How long a container may take to end after its stop signal.
	StopGrace time.Duration `toml:"stop_grace"`
}

// Problems lists everything that is wrong, by key.
func (l Limits) Problems() []error {
	var problems []error
	for key, value := range map[string]time.Duration{"health_timeout": l.HealthTimeout, "drain": l.Drain, "stop_grace": l.StopGrace, "build_timeout": l.BuildTimeout} {
		if value <= 0 || value > time.Hour {
			problems = append(problems, fmt.Errorf("limits.%s: must be more than nothing and at most 1h, not %s", key, value))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// Lifecycle deploys and stops review apps.
type Lifecycle struct {
	Records    *Records
	Containers Containers
	Front      Front
	Domain     string
	Limits     Limits
	Isolation  Isolation
}

// Request asks for one release of one app. Identity (project, environment,
// ref, sha, job) must come from a trusted source.
type Request struct {
	ProjectID   int64
	Project     string
	Environment string
	Hostname    Hostname // the project's pattern
	Ref         string
	SHA         string
	Job         int64
	Settings    Settings
	Checkout    Checkout
	// Pull gets an image by the name that the job's author wrote, with the job's credentials and by the host's policy.
	Pull func(ctx context.Context, name string, log io.Writer) (Image, error)
	Log  *Log
}

// Checkout is the project's directory as the job's script left it. Paths are
// relative to it.
type Checkout interface {
	// Has tells whether there is a file or a symbolic link of that name.
	Has(ctx context.Context, file string) (bool, error)
	// Read returns the content of a file of at most limit bytes. More is an error.
	Read(ctx context.Context, file string, limit int64) ([]byte, error)
	// Tar streams the directory; its entries are below one top directory.
	Tar(ctx context.Context, dir string) (io.ReadCloser, error)
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
// made is gone again and the release before goes on serving.
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

	live, err := l.claim(app)
	if err != nil {
		return app, err
	}
	d := &deploy{Lifecycle: l, app: app, req: req, live: live, next: newRelease(req)}
	if live != nil && live.ID == d.next.ID {
		return app, fmt.Errorf("job %d has already deployed %s", req.Job, live.ID)
	}
	if err := d.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = &Failure{What: fmt.Sprintf("the deploy of review app %q was cancelled", app.Name)}
		}
		return app, remaining(err, d.undo(ctx))
	}
	l.pruneBuildCache(ctx, req.Log)
	return app, nil
}

// deploy is one run of Deploy: the release that serves and the one to come.
type deploy struct {
	*Lifecycle
	app      App
	req      Request
	live     *Release // nil: the app is new
	next     Release
	id       string // of the new container
	switched bool   // the front was told to send requests to the new release
	// stuck is why the record or the front could not be brought back after a
	// failure. Then the front may send requests to either release, and both stay.
	stuck error
}

func newRelease(req Request) Release {
	return Release{
		ID:       fmt.Sprintf("%s-%d", shortSHA(req.SHA), req.Job),
		Ref:      req.Ref,
		SHA:      req.SHA,
		Job:      req.Job,
		Deployed: time.Now().UTC().Truncate(time.Second),
	}
}

func (d *deploy) run(ctx context.Context) error {
	d.req.Log.Line("Deploying review app %s", d.app.Name)
	if err := d.recover(ctx); err != nil {
		return err
	}
	image, err := d.build(ctx)
	if err != nil {
		return err
	}
	if err := d.start(ctx, image); err != nil {
		return err
	}
	if err := d.waitHealthy(ctx, image); err != nil {
		return err
	}
	if err := d.publish(ctx); err != nil {
		return err
	}
	d.retire(ctx)
	d.req.Log.Line("Ready: %s", d.Front.URL(d.app.Host))
	return nil
}

func (l *Lifecycle) lock(ctx context.Context, app App, log *Log) (func(), error) {
	return l.Records.Lock(ctx, app.Name, func() {
		log.Line("Waiting for another job that works on review app %s", app.Name)
	})
}

// claim makes sure that the app's host name is its own, and returns the
// release that serves there.
func (l *Lifecycle) claim(app App) (*Release, error) {
	record, err := l.Records.Load(app.Name)
	if err != nil {
		return nil, unreadable(app.Name, err)
	}
	if record == nil {
		return nil, nil
	}
	if !record.owns(app) {
		return nil, ownedBy(*record)
	}
	if record.Stopping {
		return nil, nil // what is left of it goes with the rest
	}
	return &record.Live, nil
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
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("%s already serves %s, environment %q, branch %q (job %d)",
			owner.Host, owner.Project, owner.Environment, Printable(owner.Live.Ref, 80), owner.Live.Job),
		State: "nothing was changed",
		Hint:  "stop that environment, or rename this one",
	}
}

// recover removes what killed deploys of this app have left: everything but the
// release that serves. First it makes sure which one that is: the front may
// still send requests to one that the record no longer knows.
func (d *deploy) recover(ctx context.Context) error {
	if d.live == nil {
		return d.Containers.Remove(ctx, map[string]string{LabelApp: d.app.Name}, 0)
	}
	refused, err := d.ApplyFront(ctx)
	if err != nil || refused[d.app.Name] != nil {
		return err // what serves is not known, so nothing is removed
	}
	return d.sweep(ctx, d.live.ID, 0)
}

// undo removes what the deploy made, and says what state remains. It works
// even when the job was cancelled.
func (d *deploy) undo(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if d.stuck != nil {
		return fmt.Sprintf("what was published before could not be restored (%v); what runs is left running, deploy again", d.stuck)
	}
	made := map[string]string{LabelApp: d.app.Name}
	if d.live != nil {
		made[LabelRelease] = d.next.ID
	}
	cleared := "what this deploy made was removed; "
	if err := d.Containers.Remove(ctx, made, 0); err != nil {
		cleared = fmt.Sprintf("what this deploy made could not be removed (%v) and the next deploy will try again; ", err)
	}
	if d.live == nil {
		return cleared + "the app was not deployed before"
	}
	return cleared + fmt.Sprintf("the version of %s is still serving", shortSHA(d.live.SHA))
}
