package review_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// TestDeploy_UnhealthyReleaseIsNeverPublished has every way of not becoming
// healthy.
func TestDeploy_UnhealthyReleaseIsNeverPublished(t *testing.T) {
	for name, c := range map[string]struct {
		containerfile string
		healthPath    string
		want          []string
	}{
		"not found":      {containerfile("EXPOSE 80", `CMD ["httpd"]`), "/healthz", []string{"was not healthy within 300ms", "the last answer: GET /healthz answered 404", "| (it wrote nothing)", "REVIEW_HEALTH_PATH"}},
		"nobody listens": {containerfile("EXPOSE 80", `CMD ["sh", "-c", "echo starting; sleep 1000"]`), "/", []string{"was not healthy within 300ms", "the last answer: GET /: ", "connection refused", "| starting", "0.0.0.0"}},
		"ended":          {containerfile("EXPOSE 80", `CMD ["sh", "-c", "echo no database; exit 3"]`), "/", []string{"ended before it was healthy", "exited with code 3", "| no database", "REVIEW_ENV_<NAME>"}},
		"health check":   {containerfile("EXPOSE 80", "HEALTHCHECK CMD echo no database; exit 1", `CMD ["httpd"]`), "/", []string{"was not healthy within 300ms", "the image's health check said: no database"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			w.fault = func(op string) error {
				if op == "front Serves" { // asked of a release that was published
					t.Errorf("%s was called", op)
				}
				return nil
			}
			files := site("two")
			files["Containerfile"] = c.containerfile
			job := w.job(2, files)
			job.Settings.HealthPath, job.Settings.HealthTimeout = c.healthPath, 300*time.Millisecond
			_, err := w.Deploy(t.Context(), job)
			fails(t, err, review.Build, append(c.want, "the version of 1111111 is still serving")...)
			w.isBack()
		})
	}
}

// TestDeploy_SilentAppIsToldAsSuch: it takes the connection and does not answer within
// all the time that there is.
func TestDeploy_SilentAppIsToldAsSuch(t *testing.T) {
	w := newWorld(t)
	w.engine.Answers = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	job := w.job(1, site("one"))
	job.Settings.HealthTimeout = 300 * time.Millisecond
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, "was not healthy within 300ms", "the last answer: GET /: no answer", "0.0.0.0")
}

// TestDeploy_ContainerThatIsNotReachedIsMadeAnew: the app listens, but its port leads
// nowhere.
func TestDeploy_ContainerThatIsNotReachedIsMadeAnew(t *testing.T) {
	t.Cleanup(review.ReachedWithin(0))
	w := newWorld(t)
	w.deployed(1, "one")
	started := 0
	w.fault = func(op string) error {
		switch op {
		case "Start":
			started++
		case "State":
			if started == 1 {
				w.engine.Disconnect("review-app-login-2222222-2")
			}
		}
		return nil
	}
	w.deployed(2, "two")
	if started != 2 {
		t.Errorf("started %d times", started)
	}
	w.holds(release(2, 1)...)
}

// isBack asserts that all is as it was after job 1, and that job 9 can deploy.
func (w *world) isBack() {
	w.t.Helper()
	w.fault = nil
	w.serves("login", "one")
	w.holds(release(1)...)
	if got := w.record(); got != "1111111-1" {
		w.t.Errorf("the record names %q, want 1111111-1", got)
	}
	w.recovers()
}

// recovers asserts that job 9 can deploy, and that only that is left.
func (w *world) recovers() {
	w.t.Helper()
	w.fault = nil
	record, err := w.Records.Load("login")
	if err != nil {
		w.t.Fatal(err)
	}
	w.deployed(9, "nine")
	w.holds(release(9, record.Live.Job)...)
}

func TestDeploy_HealthCheckOfTheImageIsEnough(t *testing.T) {
	w := newWorld(t)
	files := site("one")
	files["Containerfile"] = containerfile("EXPOSE 80", "HEALTHCHECK CMD exit 0", `CMD ["httpd"]`)
	job := w.job(1, files)
	job.Settings.HealthPath = "/missing" // is not asked for
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "one")
}

func TestDeploy_BuildThatCannotWorkIsTheJobsFault(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no Containerfile": {map[string]string{"index.html": ""}, "there is no Containerfile and no Dockerfile"},
		"does not build":   {map[string]string{"Containerfile": containerfile("RUN exit 7")}, "exit status 7"},
		"no port":          {map[string]string{"Dockerfile": containerfile(`CMD ["httpd"]`)}, "the image exposes no port"},
		"several ports":    {map[string]string{"Containerfile": containerfile("EXPOSE 443 80")}, "the image exposes several ports: 80, 443"},
		"no command":       {map[string]string{"Containerfile": containerfile("EXPOSE 80", `CMD ["/missing"]`)}, "cannot start its command"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			_, err := w.Deploy(t.Context(), w.job(2, c.files))
			fails(t, err, review.Build, c.want, "the version of 1111111 is still serving")
			w.isBack()
		})
	}
}

func TestDeploy_FailedFirstDeployLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.front.Stale = errors.New("still answers 404")
	fails(t, w.deploy(1, "one"), review.System, "still answers 404", "what this deploy made was removed; the app was not deployed before")
	w.holds()
	w.serves("login", "404")
	if got := w.record(); got != "" {
		t.Errorf("there is a record of %s", got)
	}
}

// TestDeploy_OldReleaseIsRetiredOnlyAfterTheNewOneServes looks at the host
// before every step, as its visitors do.
func TestDeploy_OldReleaseIsRetiredOnlyAfterTheNewOneServes(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	record, err := w.Records.Load("login")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	w.fault = func(op string) error {
		page := w.front.Get("login.review.example.org")
		both := len(w.engine.Running()) == 2
		switch {
		case page != "one" && page != "two":
			t.Errorf("before %s it serves %q", op, page)
		case (op == "front Serves" || op == "front Drain") && !both:
			t.Errorf("before %s %v runs, want both releases", op, w.engine.Running())
		case op == "Remove" && !slices.Equal(w.front.Drained(), []string{record.Live.Backend}):
			t.Errorf("drained %v before the removal, want %s", w.front.Drained(), record.Live.Backend)
		}
		if len(seen) == 0 || seen[len(seen)-1] != page {
			seen = append(seen, page)
		}
		return nil
	}
	if err := w.deploy(2, "two"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{"one", "two"}) {
		t.Errorf("it served %v, want one and then two", seen)
	}
	w.holds(release(2, 1)...)
}

// TestDeploy_LeftoversOfAKilledOneAreNotInTheWay of the same job that is
// retried, nor do they stay.
func TestDeploy_LeftoversOfAKilledOneAreNotInTheWay(t *testing.T) {
	for _, number := range []int64{1, 2} {
		w := newWorld(t)
		down := false
		w.fault = func(op string) error {
			down = down || op == "front Serves"
			if down {
				return errors.New("down for good")
			}
			return nil
		}
		if err := w.deploy(1, "killed"); err == nil {
			t.Fatal("it succeeded")
		}
		w.fault = nil
		w.holds(release(1)...)
		if err := w.Records.Delete("login"); err != nil {
			t.Fatal(err)
		}
		w.deployed(number, "again")
		w.holds(release(number)...)
	}
}

func TestDeploy_RefusedByTheFrontKeepsTheVersionBefore(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.front.Refuse = map[string]error{"login": errors.New("AH00526: Syntax error")}
	fails(t, w.deploy(2, "two"), review.System, `Apache refused the virtual host for "login"`, "AH00526: Syntax error",
		"the version of 1111111 is still serving", "not your branch")
	w.front.Refuse = nil
	w.isBack()
}

func TestDeploy_FrontThatDoesNotFollowKeepsTheVersionBefore(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.front.Stale = errors.New("the front still serves 1111111-1")
	fails(t, w.deploy(2, "two"), review.System, "the front still serves 1111111-1", "the version of 1111111 is still serving")
	w.front.Stale = nil
	w.isBack()
}

// TestDeploy_RecordThatCannotBeSavedKeepsTheVersionBefore: the disk is full at
// the very end.
func TestDeploy_RecordThatCannotBeSavedKeepsTheVersionBefore(t *testing.T) {
	if !alone(t) {
		return
	}
	w := newWorld(t)
	w.deployed(1, "one")
	room := func() {}
	w.fault = func(op string) error {
		if op == "State" && len(w.engine.Running()) == 2 {
			w.fault, room = nil, fill(t)
		}
		return nil
	}
	err := w.deploy(2, "two")
	w.holds(release(1)...)
	room()
	fails(t, err, review.System, "write record", "what this deploy made was removed; the version of 1111111 is still serving")
	w.isBack()
}
