package executor

import (
	"context"
	"strings"
	"testing"
)

const onReview = "CI_ENVIRONMENT_NAME=review/login"

func TestPolicy_DeniesAndNamesTheRule(t *testing.T) {
	ordinary := object{"variables": variables("CI_PROJECT_ID=7")}
	deploying := object{"variables": variables(onReview, "CI_PROJECT_ID=7")}
	fork := object{
		"git_info":  object{"ref": "refs/merge-requests/3/head", "sha": testSHA},
		"variables": variables("CI_PROJECT_ID=7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=8", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=7"),
	}
	for name, c := range map[string]struct {
		job    object
		policy func(*Policy)
		rule   string
		says   string
	}{
		"a project that is not named": {ordinary, func(p *Policy) { p.Projects = []string{"group/other", "other/**"} }, "projects", "project group/shop may not use this host"},
		"no project":                  {deploying, func(p *Policy) { p.Projects = nil }, "projects", "group/shop"},
		"a fork":                      {fork, func(*Policy) {}, "forks", "comes from a fork of group/shop"},
		"a branch for a protected environment": {
			deploying, func(p *Policy) { p.Protected = []string{"review/log*"} }, "protected", "only protected branches may deploy to review/login, and feature/login is not one",
		},
		"a ref that may not": {
			deploying, func(p *Policy) { p.Refs = map[string][]string{"review/*": {"main", "release/*"}} }, "refs", "feature/login may not deploy to review/login: only main, release/* may",
		},
		"one rule of two": {
			deploying, func(p *Policy) { p.Refs = map[string][]string{"review/*": {"**"}, "review/l*": {"main"}} }, "refs", "only main may",
		},
		"an image": {
			object{"image": object{"name": "docker.io/$WHO/miner"}}, func(p *Policy) { p.Images = []string{"registry.example.org/**"} },
			"images", "image docker.io/evil/miner may not be used on this host: only registry.example.org/** may",
		},
		"a service": {
			object{"services": []object{{"name": "docker.io/$WHO/db"}}}, func(p *Policy) { p.Services = []string{"docker.io/library/*"} },
			"services", "service docker.io/evil/db may not be used on this host",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStages(t, c.job)
			s.Policy = PolicyDefaults()
			s.Policy.Contact = "ops@example.org"
			s.Env["CUSTOM_ENV_WHO"] = "evil"
			c.policy(&s.Policy)
			isBuildFailure(t, s.Prepare(context.Background()), c.says, "nothing was changed", "ask ops@example.org: the rule is policy."+c.rule)
			if len(s.engine.calls) > 0 {
				t.Error(s.engine.calls)
			}
		})
	}
}

func TestPolicy_Allows(t *testing.T) {
	for name, c := range map[string]struct {
		job    object
		policy func(*Policy)
	}{
		"a project of a group":   {nil, func(p *Policy) { p.Projects = []string{"group/**"} }},
		"a fork where they may":  {object{"git_info": object{"ref": "refs/merge-requests/3/head", "sha": testSHA}}, func(p *Policy) { p.Forks = true }},
		"the host's own image":   {object{"image": object{}}, func(p *Policy) { p.Images = nil }},
		"a protected branch":     {object{"git_info": object{"ref": "main", "sha": testSHA, "protected": true}}, func(p *Policy) { p.Protected = []string{"**"} }},
		"a ref that may":         {nil, func(p *Policy) { p.Refs = map[string][]string{"review/*": {"feature/**"}} }},
		"an unnamed environment": {nil, func(p *Policy) { p.Refs = map[string][]string{"review/release-*": {"main"}} }},
		"its own merge request": {
			object{"git_info": object{"ref": "refs/merge-requests/3/head", "sha": testSHA}, "variables": variables("CI_PROJECT_ID=7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=7")},
			func(*Policy) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStages(t, c.job)
			c.policy(&s.Policy)
			s.prepared()
			if started := s.engine.did("start"); len(started) != 2 {
				t.Error(started)
			}
		})
	}
}

// TestPolicy_ProtectedCannotBeForged: before GitLab 18.3 only the variables say
// it, and the first is GitLab's.
func TestPolicy_ProtectedCannotBeForged(t *testing.T) {
	for name, c := range map[string]struct {
		job  object
		want bool
	}{
		"variable":          {object{"variables": variables("CI_COMMIT_REF_PROTECTED=true")}, true},
		"forged variable":   {object{"variables": variables("CI_COMMIT_REF_PROTECTED=false", "CI_COMMIT_REF_PROTECTED=true")}, false},
		"field":             {object{"git_info": object{"ref": "main", "sha": testSHA, "protected": true}}, true},
		"field over forged": {object{"git_info": object{"ref": "main", "sha": testSHA, "protected": false}, "variables": variables("CI_COMMIT_REF_PROTECTED=true")}, false},
		"neither":           {nil, false},
	} {
		s := newStages(t, c.job)
		if job, err := s.job(); err != nil || job.Protected != c.want {
			t.Errorf("%s: %t (%v)", name, job.Protected, err)
		}
	}
}

func TestPolicy_ProblemsAreAllNamed(t *testing.T) {
	p := Policy{Projects: []string{"["}, Images: []string{"{"}, Refs: map[string][]string{"review/[": {"a"}, "x": {"["}}}
	var text strings.Builder
	for _, problem := range p.Problems() {
		text.WriteString(problem.Error() + "\n")
	}
	for _, key := range []string{`policy.projects: "["`, `policy.images: "{"`, `policy.refs: "review/["`, `policy.refs: "["`} {
		if !strings.Contains(text.String(), key) {
			t.Errorf("it does not say %q:\n%s", key, text.String())
		}
	}
}
