package review_test

import (
	"fmt"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestDeploy_OlderPipelineNeverOverwritesANewerOne(t *testing.T) {
	w := newWorld(t)
	deploy := func(job, pipeline int64) error {
		request := w.job(job, site(fmt.Sprint(pipeline)))
		request.Pipeline = pipeline
		_, err := w.Deploy(t.Context(), request)
		return err
	}
	for _, c := range [][2]int64{{1, 10}, {2, 12}, {3, 12}} {
		if err := deploy(c[0], c[1]); err != nil {
			t.Fatal(err)
		}
	}
	w.fault = func(op string) error { t.Errorf("%s was called", op); return nil }
	err := deploy(4, 11)
	w.fault = nil
	fails(t, err, review.Build, `pipeline 11 is older than pipeline 12, which has already deployed review app "login"`, "the version of 3333333 is still serving", "rollback login")
	w.serves("login", "12")

	w.rollsBack() // to job 2, of pipeline 12 too
	w.rollsBack()
	fails(t, deploy(5, 11), review.Build, "pipeline 11 is older than pipeline 12")
	if err := deploy(6, 0); err != nil { // GitLab did not say
		t.Error(err)
	}
	if err := deploy(7, 13); err != nil {
		t.Error(err)
	}
}

func TestDeploy_OneAppTooManyIsRefusedWithTheOldest(t *testing.T) {
	w := newWorld(t)
	w.Limits.Apps, w.Limits.AppsPerProject = 3, 2
	deploy := func(number int64, project int64, environment string) error {
		job := w.job(number, site("page"))
		job.ProjectID, job.Project, job.Environment, job.Ref = project, fmt.Sprintf("group/p%d", project), "review/"+environment, environment
		_, err := w.Deploy(t.Context(), job)
		return err
	}
	for i, name := range []string{"a", "b"} {
		if err := deploy(int64(i+1), 1, name); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, deploy(3, 1, "c"), review.Build, "project group/p1 has 2 review apps", "a of group/p1, branch a", "b of group/p1", "limits.apps_per_project", "stop one")
	if err := deploy(4, 2, "d"); err != nil {
		t.Fatal(err)
	}
	fails(t, deploy(5, 3, "e"), review.Build, "this host has 3 review apps", "limits.apps")
	if err := deploy(6, 1, "a"); err != nil { // it has its place already
		t.Error(err)
	}
}

func TestDeploy_LimitsAreBelowTheHosts(t *testing.T) {
	w := newWorld(t)
	w.Isolation = review.Isolation{Memory: 1 << 30, CPUs: 2, PIDs: 100}
	job := w.job(1, site("one"))
	job.Settings.Memory, job.Settings.CPUs = 2<<30, 3
	_, err := w.Deploy(t.Context(), job)
	fails(t, err, review.Build, "REVIEW_MEMORY is 2.0GiB; this host gives an app at most 1.0GiB", "REVIEW_CPUS is 3; this host gives an app at most 2", "nothing was changed")

	job.Settings.Memory, job.Settings.CPUs = 512<<20, 0.5
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got := w.engine.Running()[0].Isolation; got.Memory != 512<<20 || got.CPUs != 0.5 || got.PIDs != 100 {
		t.Errorf("%+v", got)
	}
	w.Isolation.Memory = 256 << 20 // the administrator has lowered it
	w.engine.Wipe(false)
	w.syncs()
	if got := w.engine.Running()[0].Isolation.Memory; got != 256<<20 {
		t.Errorf("memory %s", got)
	}
}

func TestDeploy_PrebuiltImageIsTheReleasesOwn(t *testing.T) {
	w := newWorld(t)
	pulls := w.pulling("registry.example.org/shop:main", "prebuilt")
	job := w.job(1, nil)
	job.Settings.Image, job.Settings.Port = "registry.example.org/shop:main", 8080
	job.Pull = pulls
	if _, err := w.Deploy(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.serves("login", "prebuilt")
	w.holds(release(1)...) // it has lost the name that it was pulled by
	if _, err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.isGone()
}
