package executor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

func TestServices_StartWithTheirSettings(t *testing.T) {
	s := newStages(t, object{
		"variables": []object{{"key": "CI_PROJECT_ID", "value": "7", "public": true}, {"key": "PLAIN", "value": "raw", "public": true}, {"key": "SECRET", "value": "s", "public": false}},
		"services": []object{{
			"name": "registry.example.org:5000/group/db:17@sha256:0", "alias": "db,$NAME  sql", "entrypoint": []string{"/start"}, "command": []string{"--fast"},
			"variables":     []object{{"key": "DB_USER", "value": "$PLAIN-$DB_NAME"}, {"key": "DB_NAME", "value": "shop"}, {"key": "not a name", "value": "x"}},
			"executor_opts": object{"docker": object{"user": "postgres", "platform": "linux/amd64"}},
		}},
	})
	s.Env["CUSTOM_ENV_CI_PROJECT_ID"], s.Env["CUSTOM_ENV_PLAIN"], s.Env["CUSTOM_ENV_SECRET"], s.Env["CUSTOM_ENV_NAME"] = "7", "expanded", "s", "main"
	s.Isolation = review.IsolationDefaults()
	s.prepared()

	c := s.engine.running["review-job-4711-service-0"]
	c.Labels = nil
	want := review.Container{
		Name: "review-job-4711-service-0", Image: "registry.example.org:5000/group/db:17@sha256:0", Network: "review-job-4711", SameIDs: "review-job-4711-helper", User: "postgres",
		Aliases:    []string{"registry.example.org__group__db", "registry.example.org-group-db", "db", "main", "sql"},
		Entrypoint: []string{"/start"}, Command: []string{"--fast"},
		Env:       map[string]string{"CI_PROJECT_ID": "7", "PLAIN": "expanded", "DB_USER": "expanded-shop", "DB_NAME": "shop"},
		Isolation: review.IsolationDefaults(),
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(s.engine.pulls, func(p review.Pull) bool { return p.Platform == "linux/amd64" }) {
		t.Errorf("%+v", s.engine.pulls)
	}
}

func TestServices_FirstClaimantOfANameWins(t *testing.T) {
	s := newStages(t, serving([]object{{"name": "postgres:17", "alias": "db"}, {"name": "mysql:8", "alias": "db,my..sql,-x,../y"}, {"name": "group/mysql"}})).prepared()
	want := [][]string{{"postgres", "db"}, {"mysql", "my..sql"}, {"group__mysql", "group-mysql"}}
	for i, aliases := range want {
		if diff := cmp.Diff(aliases, s.engine.running[serviceName(4711, i)].Aliases); diff != "" {
			t.Error(diff)
		}
	}
	for _, line := range []string{
		`WARNING: service mysql:8 cannot be called "db", which is postgres:17`,
		`WARNING: service mysql:8 cannot be called "-x"`,
		`WARNING: service mysql:8 cannot be called "../y"`,
		"Service postgres:17 is ready as postgres, db after",
	} {
		if !strings.Contains(s.stdout.String(), line) {
			t.Errorf("it does not say %q:\n%s", line, s.stdout)
		}
	}
}

// TestServices_AreInTheJobsHostsFile: the network's own names may come late.
func TestServices_AreInTheJobsHostsFile(t *testing.T) {
	s := newStages(t, serving([]object{{"name": "group/db:17", "alias": "db"}})).prepared()
	want := map[string]string{"group__db": "10.0.0.2", "group-db": "10.0.0.2", "db": "10.0.0.2"}
	if diff := cmp.Diff(want, s.engine.running["review-job-4711"].Hosts); diff != "" {
		t.Error(diff)
	}
}

func TestServices_PortThatIsWaitedFor(t *testing.T) {
	image := review.Image{Ports: []uint16{80, 443}}
	for value, want := range map[string][]uint16{"": {80, 443}, "8080": {8080}, "99999": {80, 443}, "http": {80, 443}} {
		service := Image{Variables: []variable{{Key: "HEALTHCHECK_TCP_PORT", Value: value}}}
		if diff := cmp.Diff(want, servicePorts(service, image)); diff != "" {
			t.Errorf("%q: %s", value, diff)
		}
	}
	s := newStages(t, serving([]object{{"name": "portless"}})).prepared()
	if asked := s.engine.did("listens"); len(asked) > 0 {
		t.Errorf("a service without ports was waited for: %v", asked)
	}
}

// TestServices_OneThatEndsIsNoReasonToFail: perhaps the script does not need it.
func TestServices_OneThatEndsIsNoReasonToFail(t *testing.T) {
	s := newStages(t, serving([]object{{"name": "postgres"}}))
	s.engine.images["postgres"] = review.Image{Ports: []uint16{5432}}
	s.engine.deaf = true
	s.prepared()
	if want := "WARNING: service postgres has ended with code 0; the job goes on without it. Its last lines:\n  last words\n"; !strings.Contains(s.stdout.String(), want) {
		t.Error(s.stdout)
	}
}

func TestServices_OneThatCannotStartIsNamed(t *testing.T) {
	s := newStages(t, serving([]object{{"name": "postgres"}}))
	s.engine.broken["start"] = &review.Failure{Kind: review.Build, What: "it has no command", Cause: errors.New("exec")}
	s.engine.broken["create"] = nil
	_, err := s.startServices(t.Context(), mustJob(t, s), []review.Image{{ID: "x"}})
	isBuildFailure(t, err, "service postgres: it has no command")
}

// serving is an ordinary job, which deploys nothing, with services.
func serving(services []object) object {
	return object{"services": services, "variables": variables("CI_JOB_ID=4711", "CI_PROJECT_ID=7")}
}

func mustJob(t *testing.T, s stages) Job {
	t.Helper()
	job, err := s.job()
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func FuzzImageAliases(f *testing.F) {
	for _, image := range []string{"postgres:17", "registry.example.org:5000/group/db:17@sha256:0", "", "/", "a/b:c/d", "@"} {
		f.Add(image, image)
	}
	f.Fuzz(func(t *testing.T, image, alias string) {
		e := Executor{Stdout: new(strings.Builder)}
		for _, names := range e.aliases([]Image{{Name: image, Aliases: []string{alias}}}) {
			for _, name := range names {
				if len(name) > 63 || strings.ContainsAny(name, "/\\:@ \n\x00") || strings.HasPrefix(name, "-") {
					t.Errorf("%q", name)
				}
			}
		}
	})
}
