package executor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// companioned is a job that deploys, with services.
func companioned(t *testing.T, services ...object) stages {
	s := newStages(t, object{
		"services": services,
		"variables": append(variables("CI_JOB_ID=4711", "CI_PIPELINE_ID=88", "CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start", "CI_PROJECT_ID=7"),
			variable{Key: "POSTGRES_USER", Value: "shop", Public: true}, variable{Key: "CI_COMMIT_SHA", Value: testSHA, Public: true}, variable{Key: "SECRET", Value: "s"}),
	})
	s.Env["CUSTOM_ENV_POSTGRES_USER"], s.Env["CUSTOM_ENV_CI_COMMIT_SHA"], s.Env["CUSTOM_ENV_SECRET"] = "shop", testSHA, "s"
	return s
}

var postgres = object{"name": "docker.io/library/postgres:17", "alias": "db", "variables": []object{{"key": "POSTGRES_PASSWORD", "value": "$SECRET"}}}

func TestCompanions_ServicesOfADeployingJobAreItsApps(t *testing.T) {
	s := companioned(t, postgres)
	s.engine.images["docker.io/library/postgres:17"] = review.Image{Ports: []uint16{5432}, Volumes: []string{"/var/lib/postgresql/data"}}
	s.prepared()
	db := s.engine.running["review-app-login-db-3f2c1a9-4711"]
	if db.Network != "review-app-login" || !db.Restart || !slices.Contains(db.Aliases, "db") || len(db.Volumes) != 1 {
		t.Errorf("%+v", db)
	}
	// What tells of this commit is not in it: it would never be the same twice.
	if diff := cmp.Diff(map[string]string{"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "s"}, db.Env); diff != "" {
		t.Error(diff)
	}
	job := s.engine.running["review-job-4711"]
	if job.Network != "review-app-login" || job.Hosts["db"] == "" {
		t.Errorf("the script does not reach it: %+v", job)
	}
	record, err := s.Apps.Records.Load("login")
	if err != nil || len(record.Pending) != 1 || record.Pending[0].Pipeline != 88 || record.Pending[0].Owner == "" {
		t.Errorf("%+v, %v", record, err)
	}
	if err := s.run("build_script"); err != nil {
		t.Fatal(err)
	}
	if err := s.Cleanup(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(s.engine.running)); !slices.Equal(got, []string{"review-app-login-3f2c1a9-4711", "review-app-login-db-3f2c1a9-4711"}) {
		t.Errorf("after the job there are %v", got)
	}
	if app := s.engine.running["review-app-login-3f2c1a9-4711"]; app.Env["FROM_THE_HOST"] != "yes" {
		t.Errorf("the app's environment is %v", app.Env)
	}
}

func TestCompanions_OfAJobThatDoesNotDeployGoWithIt(t *testing.T) {
	s := companioned(t, postgres).prepared()
	if err := s.Cleanup(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.engine.running) > 0 {
		t.Errorf("there are still %v", slices.Sorted(maps.Keys(s.engine.running)))
	}
	if record, err := s.Apps.Records.Load("login"); record != nil || err != nil {
		t.Errorf("there is still a record: %+v, %v", record, err)
	}
}

func TestCompanions_StaticSiteHasNone(t *testing.T) {
	s := companioned(t, postgres)
	s.Env["CUSTOM_ENV_REVIEW_STATIC"] = "public"
	s.prepared()
	if names := strings.Join(slices.Sorted(maps.Keys(s.engine.running)), " "); names != "review-job-4711 review-job-4711-helper review-job-4711-service-0" {
		t.Errorf("there are %s", names)
	}
}
