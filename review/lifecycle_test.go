package review_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

// world is a review host on fakes. Its records are real.
type world struct {
	*review.Lifecycle
	t      *testing.T
	engine *reviewtest.Engine
	front  *reviewtest.Front
	units  *reviewtest.Supervisor // nil: none
	dir    string                 // of the records
	// fault is that of the engine, the front and the checkout. Operations of
	// the front and the checkout are called "front Apply" and "checkout Tar".
	fault reviewtest.Fault
}

func newWorld(t *testing.T) *world {
	t.Helper()
	records, dir := newRecords(t)
	w := &world{t: t, dir: dir, engine: reviewtest.NewEngine(t), front: &reviewtest.Front{}}
	w.engine.Fail = func(op string) error { return w.before(op) }
	w.front.Fail = func(op string) error { return w.before("front " + op) }
	w.Lifecycle = &review.Lifecycle{
		Records:    records,
		Containers: w.engine,
		Front:      w.front,
		Domain:     "review.example.org",
		Limits:     review.LimitDefaults(),
	}
	return w
}

// supervised is a world whose apps sleep.
func (w *world) supervised() *world {
	w.units = reviewtest.NewSupervisor(w.t)
	w.units.Fail = func(op string) error { return w.before(op) }
	w.units.Wake = func(ctx context.Context, app, release string) error {
		return w.Wake(ctx, app, release, review.NewLog(io.Discard))
	}
	w.units.Sleep = w.Sleep
	w.Supervisor = w.units
	return w
}

func (w *world) before(op string) error {
	if w.fault == nil {
		return nil
	}
	return w.fault(op)
}

// site serves one page.
func site(page string) map[string]string {
	return map[string]string{"index.html": page, "Containerfile": containerfile("EXPOSE 8080", `CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]`)}
}

func containerfile(lines ...string) string {
	return strings.Join(append([]string{"FROM " + reviewtest.Base, "COPY . /www"}, lines...), "\n") + "\n"
}

// job is what a job of the project's branch asks for. Its commit is its number
// seven times.
func (w *world) job(number int64, files map[string]string) review.Request {
	return review.Request{
		ProjectID:   42,
		Project:     "group/shop",
		Environment: "review/login",
		Hostname:    plain,
		Ref:         "login",
		SHA:         strings.Repeat(fmt.Sprint(number%10), 40),
		Job:         number,
		Settings:    defaults(),
		Pull:        w.engine.Pull,
		Checkout:    reviewtest.Checkout{Files: files, Fail: func(op string) error { return w.before("checkout " + op) }},
		Log:         review.NewLog(&bytes.Buffer{}),
	}
}

func (w *world) deploy(number int64, page string) error {
	_, err := w.Deploy(context.Background(), w.job(number, site(page)))
	return err
}

// deployed succeeds.
func (w *world) deployed(number int64, page string) {
	w.t.Helper()
	if err := w.deploy(number, page); err != nil {
		w.t.Fatal(err)
	}
	w.serves("login", page)
}

func (w *world) serves(name, want string) {
	w.t.Helper()
	if got := w.front.Get(name + ".review.example.org"); got != want {
		w.t.Errorf("%s serves %q, want %q", name, got, want)
	}
}

// holds asserts what there is in the engine, and nothing else.
func (w *world) holds(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, w.engine.Inventory()); diff != "" {
		w.t.Errorf("the engine holds (-want +got):\n%s", diff)
	}
}

// release is what there is of a job's release of login, with the image of the one before.
func release(number int64, before ...int64) []string {
	objects := []string{"container review-app-login-" + releaseID(number), "network review-app-login"}
	for _, n := range append(before, number) {
		objects = append(objects, "image localhost/review/login:"+releaseID(n))
	}
	return objects
}

func releaseID(number int64) string {
	return strings.Repeat(fmt.Sprint(number%10), 7) + "-" + fmt.Sprint(number)
}

// record is the release that login's record names, or "".
func (w *world) record() string {
	w.t.Helper()
	record, err := w.Records.Load("login")
	if err != nil {
		w.t.Fatal(err)
	}
	if record == nil {
		return ""
	}
	return record.Live.ID
}

// fails asserts that err is a failure of the kind that says all of want.
func fails(t *testing.T, err error, kind review.Kind, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it succeeded")
	}
	f := review.AsFailure(err)
	if f.Kind != kind {
		t.Errorf("kind %d, want %d", f.Kind, kind)
	}
	for _, text := range want {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("it does not say %q:\n%s", text, f.Text())
		}
	}
}

// operations deploys once more, and returns its operations in order.
func (w *world) operations(number int64, page string) (all []string) {
	w.t.Helper()
	w.fault = func(op string) error { all = append(all, op); return nil }
	w.deployed(number, page)
	w.fault = nil
	return all
}

func TestDeploy_AppHasItsPlaceInTheEnvironmentAndIsLabelled(t *testing.T) {
	w := newWorld(t)
	job := w.job(4711, site("one"))
	job.Settings.Env = map[string]string{"THEME": "dark"}
	app, err := w.Deploy(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	want := review.App{Name: "login", Host: "login.review.example.org", ProjectID: 42, Project: "group/shop", Environment: "review/login"}
	if diff := cmp.Diff(want, app); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
	w.holds(release(4711)...)
	got := w.engine.Running()[0]
	sha := strings.Repeat("1", 40)
	if diff := cmp.Diff(map[string]string{
		"PORT": "8080", "REVIEW_HOST": app.Host, "REVIEW_URL": "https://" + app.Host, "REVIEW_SHA": sha, "REVIEW_REF": "login", "THEME": "dark",
	}, got.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{
		review.LabelApp: "login", review.LabelProject: "group/shop", review.LabelProjectID: "42", review.LabelEnvironment: "review/login",
		review.LabelRef: "login", review.LabelSHA: sha, review.LabelJob: "4711", review.LabelRole: review.RoleApp, review.LabelRelease: "1111111-4711",
	}, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if !got.Restart || got.Port != 8080 || !slices.Equal(got.Aliases, []string{"login"}) {
		t.Errorf("container %+v, want it restarted, with port 8080, called login", got)
	}
	if want := w.Limits.StopGrace; want == 0 || got.StopGrace != want {
		t.Errorf("a shutdown leaves it %s to end, want %s", got.StopGrace, want)
	}
}

func TestDeploy_SettingsChooseWhatIsBuilt(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{"Containerfile": "FROM scratch\n"}
	for name, content := range site("the web directory") {
		files["web/"+name] = content
	}
	files["web/docker/app"] = containerfile("EXPOSE 80 443", `CMD ["httpd"]`)
	job := w.job(1, files)
	job.Settings.Context, job.Settings.Containerfile, job.Settings.Port = "web", "docker/app", 3000
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "the web directory")
	if got := w.engine.Running()[0]; got.Port != 3000 || got.Env["PORT"] != "3000" {
		t.Errorf("port %d, PORT=%s, want 3000", got.Port, got.Env["PORT"])
	}
}

func TestDeploy_SameJobTwiceIsRefused(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	fails(t, w.deploy(1, "again"), review.System, "job 1 has already deployed 1111111-1")
	w.serves("login", "one")
	w.holds(release(1)...)
}

func TestDeploy_SecondAppOnAHostIsRefusedAndToldWhoOwnsIt(t *testing.T) {
	w := newWorld(t)
	w.deployed(4711, "one")
	for name, change := range map[string]func(*review.Request){
		"another project":     func(r *review.Request) { r.ProjectID, r.Project = 43, "group/fork" },
		"another environment": func(r *review.Request) { r.Environment = "login" },
	} {
		t.Run(name, func(t *testing.T) {
			job := w.job(4712, site("another"))
			change(&job)
			w.fault = func(op string) error { t.Errorf("%s was called", op); return nil }
			defer func() { w.fault = nil }()
			_, err := w.Deploy(t.Context(), job)
			fails(t, err, review.Build, `login.review.example.org already serves group/shop, environment "review/login", branch "login" (job 4711)`,
				"nothing was changed", "hint: stop that environment, or rename this one")
		})
	}
	w.serves("login", "one")
	w.holds(release(4711)...)
}

func TestDeploy_DamagedRecordStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.damage("login")
	fails(t, w.deploy(2, "two"), review.System, `the record of review app "login" cannot be read`, "login.json is damaged", "nothing was changed", "not your branch")
	w.serves("login", "one")
	w.holds(release(1)...)
}

func (w *world) damage(app string) {
	w.t.Helper()
	write(w.t, w.dir+"/apps/"+app+".json", `{"version": 1, "na`)
}

func TestDeploy_BadEnvironmentIsTheJobsFault(t *testing.T) {
	w := newWorld(t)
	job := w.job(1, site("one"))
	job.Environment = "review/../admin"
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, "this environment cannot have a review app", "nothing was changed", "$CI_COMMIT_REF_SLUG")
}

// TestDeploy_ManyAtOnce has jobs of one branch meet, and other branches beside.
func TestDeploy_ManyAtOnce(t *testing.T) {
	w := newWorld(t)
	done := make(chan error)
	for _, app := range []string{"a", "b"} {
		for number := range int64(4) {
			job := w.job(number, site(app))
			job.Environment = "review/" + app
			go func() {
				_, err := w.Deploy(t.Context(), job)
				done <- err
			}()
		}
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, app := range []string{"a", "b"} {
		w.serves(app, app)
	}
	if n := len(w.engine.Inventory()); n != 8 {
		t.Errorf("%v, want a container, two images and a network of each", w.engine.Inventory())
	}
}
