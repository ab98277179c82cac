package executor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// policiesOf lists the policies that an image was pulled with, in order.
func policiesOf(s stages, image string) []string {
	var policies []string
	for _, pull := range s.engine.pulls {
		if pull.Image == image {
			policies = append(policies, pull.Policy)
		}
	}
	return policies
}

func TestImages_PullPolicyIsWhatIsAskedForAndAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		asked, host, allowed, want []string
	}{
		"the host's":               {nil, []string{"always"}, nil, []string{"always"}},
		"the job's":                {[]string{"never"}, []string{"always"}, []string{"always", "never"}, []string{"never"}},
		"in the job's order":       {[]string{"if-not-present", "always"}, []string{"always", "if-not-present"}, nil, []string{"if-not-present"}},
		"what is not allowed goes": {[]string{"never", "always"}, []string{"always"}, nil, []string{"always"}},
	} {
		s := newStages(t, object{"image": object{"name": "localhost/image", "pull_policy": c.asked}})
		s.Jobs.PullPolicy, s.Jobs.AllowedPullPolicies = c.host, c.allowed
		s.prepared()
		if diff := cmp.Diff(c.want, policiesOf(s, "localhost/image")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff([]string{"if-not-present"}, policiesOf(s, s.helperImage())); diff != "" {
			t.Errorf("%s: helper: %s", name, diff)
		}
	}
}

func TestImages_PullPolicyThatIsNotAllowedIsABuildFailure(t *testing.T) {
	s := newStages(t, object{"image": object{"name": "localhost/image", "pull_policy": []string{"never", "if-not-present"}}})
	isBuildFailure(t, s.Prepare(context.Background()), "asks for pull policy never, if-not-present; this host allows always", "jobs.allowed_pull_policies")
}

func TestImages_NextPolicyCountsWhereOneFails(t *testing.T) {
	s := newStages(t, nil)
	s.Jobs.PullPolicy = []string{"always", "if-not-present"}
	s.engine.broken["pull"] = errors.New("registry is down")
	if err := s.Prepare(context.Background()); !errors.Is(err, s.engine.broken["pull"]) {
		t.Error(err)
	}
	if diff := cmp.Diff(s.Jobs.PullPolicy, policiesOf(s, "localhost/image")); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(s.stdout.String(), "WARNING: registry is down\nTrying pull policy \"if-not-present\" for image localhost/image") {
		t.Error(s.stdout)
	}
}

func TestImages_OfAnotherProjectAreRefused(t *testing.T) {
	for owner, refused := range map[string]bool{"": false, "7": false, "8": true} {
		s := newStages(t, nil)
		s.engine.images["localhost/image"] = review.Image{Labels: map[string]string{review.LabelProjectID: owner}}
		err := s.Prepare(context.Background())
		if (err != nil) != refused {
			t.Errorf("of %q: %v", owner, err)
		}
		if refused {
			isBuildFailure(t, err, "image localhost/image was built for another project's review app")
		}
	}
}

func TestImages_UserAndEntrypointAreTheJobsOrTheImages(t *testing.T) {
	of := review.Image{User: "app", Entrypoint: []string{"/entry"}}
	for name, c := range map[string]struct {
		image object
		want  []string // how a script is run: user, then the words before the shell
	}{
		"the image's":  {object{"name": "localhost/image"}, []string{"app", "/entry"}},
		"the job's":    {object{"name": "localhost/image", "entrypoint": []string{"/mine", "-x"}, "executor_opts": object{"docker": object{"user": "1000"}}}, []string{"1000", "/mine", "-x"}},
		"switched off": {object{"name": "localhost/image", "entrypoint": []string{""}}, []string{"app"}},
	} {
		s := newStages(t, object{"image": c.image, "variables": variables("CI_PROJECT_ID=7")})
		s.engine.images["localhost/image"] = of
		s.engine.entered = true
		if err := s.prepared().run("build_script"); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(s.engine.did("exec"), `exec review-job-4711 "`+c.want[0]+`"`) {
			t.Errorf("%s: %v", name, s.engine.did("exec"))
		}
		words := s.engine.command[:slices.Index(s.engine.command, "sh")]
		if diff := cmp.Diff(c.want[1:], words); diff != "" && len(words)+len(c.want) > 1 {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRun_EntrypointThatNeverRanTheScriptIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ entered, says bool }{"it did": {true, false}, "it did not": {false, true}} {
		s := newStages(t, nil)
		s.engine.images["localhost/image"] = review.Image{Entrypoint: []string{"terraform"}}
		s.prepared()
		s.engine.exit, s.engine.entered = 127, c.entered
		err := s.run("build_script")
		if c.says {
			isBuildFailure(t, err, "the entrypoint of the job's image did not run the script: terraform", `entrypoint: [""]`)
			continue
		}
		var script *ScriptError
		if !errors.As(err, &script) || script.Exit != 127 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
