package review_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// redis is a companion that keeps its data on a volume.
func (w *world) redis() review.Companion {
	image := w.engine.Add("localhost/redis", nil, "httpd")
	return review.Companion{Name: "redis", Image: image.ID, From: "redis:7", Aliases: []string{"redis", "queue"}, Ports: []uint16{6379}, Volumes: []string{"/data"}}
}

// with is a job whose app has companions.
func (w *world) with(number int64, page string, companions ...review.Companion) review.Request {
	job := w.job(number, site(page))
	job.Owner = "runner"
	job.Companions = companions
	job.CompanionEnvs = map[string]map[string]string{"redis": {"PASSWORD": "s3cret"}}
	return job
}

func (w *world) prepares(job review.Request) review.Prepared {
	w.t.Helper()
	prepared, err := w.Prepare(context.Background(), job)
	if err != nil {
		w.t.Fatal(err)
	}
	return prepared
}

// both prepares and deploys.
func (w *world) both(job review.Request) {
	w.t.Helper()
	w.prepares(job)
	job.Prepared = true
	if _, err := w.Deploy(context.Background(), job); err != nil {
		w.t.Fatal(err)
	}
}

// runs lists the app's containers by name.
func (w *world) runs() []string {
	var names []string
	for _, c := range w.engine.Running() {
		names = append(names, strings.TrimPrefix(c.Name, "review-app-login-"))
	}
	return names
}

func (w *world) isRunning(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.runs()); diff != "" {
		w.t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func TestCompanions_UnchangedOnesAreLeftRunning(t *testing.T) {
	w := newWorld(t)
	redis := w.redis()
	w.both(w.with(1, "one", redis))
	w.isRunning("1111111-1", "redis-1111111-1")
	w.fault = func(op string) error {
		if op == "Resume" {
			t.Error("something was started again")
		}
		return nil
	}
	w.both(w.with(2, "two", redis))
	w.isRunning("2222222-2", "redis-1111111-1")
	w.serves("login", "two")
}

func TestCompanions_ChangedOnesAreReplacedOnTheirVolumes(t *testing.T) {
	for name, change := range map[string]func(*review.Request){
		"command":     func(r *review.Request) { r.Companions[0].Command = []string{"httpd", "--save"} },
		"environment": func(r *review.Request) { r.CompanionEnvs["redis"] = map[string]string{"PASSWORD": "other"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both(w.with(1, "one", w.redis()))
			before := w.engine.Running()[1].Volumes
			job := w.with(2, "two", w.redisOf("login"))
			change(&job)
			w.both(job)
			w.isRunning("2222222-2", "redis-2222222-2")
			if diff := cmp.Diff(before, w.engine.Running()[1].Volumes); diff != "" {
				t.Errorf("volumes (-want +got):\n%s", diff)
			}
		})
	}
}

// redisOf is the companion as the app's record has it.
func (w *world) redisOf(app string) review.Companion {
	record, err := w.Records.Load(app)
	if err != nil {
		w.t.Fatal(err)
	}
	c := record.Live.Companions[0]
	c.Since = ""
	return c
}

func TestCompanions_ThatAreNotWantedAnyMoreGoOnceTheNewReleaseServes(t *testing.T) {
	w := newWorld(t)
	w.both(w.with(1, "one", w.redis()))
	w.fault = func(op string) error {
		if op == "front Serves" && len(w.runs()) != 3 {
			t.Errorf("before the new release serves there are %v", w.runs())
		}
		return nil
	}
	w.deployed(2, "two")
	w.isRunning("2222222-2")
}

func TestCompanions_OfAFailedDeployAreThoseOfBefore(t *testing.T) {
	w := newWorld(t)
	w.both(w.with(1, "one", w.redis()))
	job := w.with(2, "two", w.redisOf("login"))
	job.Companions[0].User = "other"
	w.prepares(job)
	w.isRunning("1111111-1", "redis-2222222-2")
	job.Prepared = true
	job.Checkout = w.job(2, map[string]string{"Containerfile": "BROKEN\n"}).Checkout
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, "the version of 1111111 is still serving")
	w.isRunning("1111111-1", "redis-1111111-1")
	w.serves("login", "one")
}

func TestPrepare_TellsWhereCompanionsAre(t *testing.T) {
	w := newWorld(t)
	got := w.prepares(w.with(1, "one", w.redis()))
	if got.Network != "review-app-login" {
		t.Errorf("network %q", got.Network)
	}
	record, err := w.Records.Load("login")
	if err != nil || record.Live.ID != "" || len(record.Pending) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
	if hosts := w.front.Hosts(); len(hosts) > 0 {
		t.Errorf("the front serves %v before anything is deployed", hosts)
	}
}

func TestAbandon_GivesUpWhatWasPrepared(t *testing.T) {
	t.Run("for a new app", func(t *testing.T) {
		w := newWorld(t)
		w.prepares(w.with(1, "one", w.redis()))
		w.abandons(1)
		if got := slices.DeleteFunc(w.engine.Inventory(), func(o string) bool { return o == "image localhost/redis" }); len(got) > 0 {
			t.Errorf("there are %v", got)
		}
		if record, err := w.Records.Load("login"); record != nil || err != nil {
			t.Errorf("there is a record %+v, %v", record, err)
		}
	})
	t.Run("for one that serves", func(t *testing.T) {
		w := newWorld(t)
		w.both(w.with(1, "one", w.redis()))
		job := w.with(2, "two", w.redisOf("login"))
		job.Companions[0].User = "other"
		w.prepares(job)
		w.abandons(2)
		w.isRunning("1111111-1", "redis-1111111-1")
	})
	t.Run("not for one that has deployed", func(t *testing.T) {
		w := newWorld(t)
		w.both(w.with(1, "one", w.redis()))
		w.fault = func(op string) error { t.Errorf("%s was called", op); return nil }
		w.abandons(1)
	})
}

func (w *world) abandons(job int64) {
	w.t.Helper()
	app, err := w.App(w.job(job, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Abandon(context.Background(), app, job); err != nil {
		w.t.Fatal(err)
	}
}

func TestDeploy_StoppedMeanwhileIsNotBroughtBack(t *testing.T) {
	w := newWorld(t)
	job := w.with(1, "one", w.redis())
	w.prepares(job)
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	job.Prepared = true
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, `review app "login" was stopped while this job was running`, "run the job again")
	w.serves("login", "404")
	w.holds("image localhost/redis")
}

func TestDeploy_ReleaseCommandRunsOnTheAppsVolumesBeforeItServes(t *testing.T) {
	w := newWorld(t)
	job := w.with(1, "one", w.redis())
	job.Settings.ReleaseCommand = []string{"sh", "-c", "echo migrated"}
	job.Settings.Volumes = []string{"/data"}
	job.Settings.Env = map[string]string{"DATABASE": "/data/shop.sqlite3"}
	var volumes []map[string]string
	w.fault = func(op string) error {
		if op == "Start" || op == "Run" {
			for _, c := range w.engine.Running() {
				if strings.HasSuffix(c.Name, "-release") {
					volumes = append(volumes, c.Volumes)
					if c.Env["DATABASE"] == "" || c.Network != "review-app-login" || c.Port != 0 {
						t.Errorf("%+v", c)
					}
				}
			}
		}
		return nil
	}
	w.both(job)
	w.isRunning("1111111-1", "redis-1111111-1")
	app := w.engine.Running()[0]
	if len(volumes) != 1 || len(app.Volumes) != 1 || !cmp.Equal(volumes[0], app.Volumes) {
		t.Errorf("the command had %v, the app %v", volumes, app.Volumes)
	}
	if app.IDs != "of review-app-login-1111111-1-release" {
		t.Errorf("user IDs %q", app.IDs)
	}
	w.deployed(3, "without the volume, but with the same IDs")
	w.both(func() review.Request { job := w.with(4, "four"); job.Settings.Volumes = []string{"/data"}; return job }())
	if got := w.engine.Running()[0]; got.IDs != app.IDs || len(got.Chown) > 0 {
		t.Errorf("beside the one that serves: user IDs %q, chown %v", got.IDs, got.Chown)
	}
	w.engine.Wipe(false)
	w.syncs()
	if got := w.engine.Running()[0]; got.IDs != app.IDs || len(got.Chown) > 0 {
		t.Errorf("after the containers were lost: user IDs %q, chown %v", got.IDs, got.Chown)
	}
}

func TestDeploy_FailedReleaseCommandIsTheDeploys(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	job := w.job(2, site("two"))
	job.Settings.ReleaseCommand = []string{"sh", "-c", "echo no such table; exit 3"}
	var log strings.Builder
	job.Log = review.NewLog(&log)
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, `the release command of review app "login" failed with exit code 3`, "the version of 1111111 is still serving")
	if !strings.Contains(log.String(), "no such table") {
		t.Errorf("the log lacks what it wrote:\n%s", &log)
	}
	w.isBack()
}
