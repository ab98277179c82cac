package gitlab_test

import (
	"slices"
	"testing"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

func TestStopEnvironment_WithoutItsJob(t *testing.T) {
	for _, name := range oddNames {
		s := start(t)
		s.Change(7, func(p *gitlabtest.Project) {
			p.Environments = []gitlabtest.Environment{{Name: name}, {Name: "review/blue/other"}}
		})
		if err := open(t, config(t, s), "").StopEnvironment(t.Context(), 7, name); err != nil {
			t.Error(err)
		}
		got := s.Project(7).Environments
		if got[0].State != "stopped" || got[1].State != "available" {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

func TestStopEnvironment_StopsWhatIsStopping(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) { p.Environments[0].State = "stopping" })
	if err := open(t, config(t, s), "").StopEnvironment(t.Context(), 7, "review/blue"); err != nil || s.Project(7).Environments[0].State != "stopped" {
		t.Errorf("%v, %+v", err, s.Project(7).Environments[0])
	}
}

func TestStopEnvironment_ThatIsNone(t *testing.T) {
	s := start(t)
	for _, name := range []string{"review/red", "review/none", "REVIEW/BLUE"} {
		if err := open(t, config(t, s), "").StopEnvironment(t.Context(), 7, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.Requests()[gitlabtest.EnvironmentStop]; n != 0 {
		t.Errorf("%d environments are stopped", n)
	}
}

// TestStopEnvironment_DeletedMeanwhile has it go between the question and the stop.
func TestStopEnvironment_DeletedMeanwhile(t *testing.T) {
	s := start(t)
	s.Fail(gitlabtest.EnvironmentStop, gitlabtest.Fault{Status: 404, Body: `{"message":"404 Not found"}`, Edit: func(body []byte) []byte {
		s.Change(7, func(p *gitlabtest.Project) { p.Environments = nil })
		return body
	}})
	if err := open(t, config(t, s), "").StopEnvironment(t.Context(), 7, "review/blue"); err != nil {
		t.Error(err)
	}
}

func TestStopEnvironment_Fails(t *testing.T) {
	s := start(t)
	g := open(t, config(t, s), "")
	s.Fail(gitlabtest.EnvironmentStop, gitlabtest.Fault{Times: 1, Status: 404, Body: `{"message":"404 Not found"}`})
	failsWith(t, s, g.StopEnvironment(t.Context(), 7, "review/blue"), "answered 404")
	s.Change(7, func(p *gitlabtest.Project) { p.Environments[0].Protected = true })
	failsWith(t, s, g.StopEnvironment(t.Context(), 7, "review/blue"),
		`environment "review/blue" of project 7 is not stopped in GitLab`, "POST ", "/environments/41/stop: answered 403", "hint: the token's user needs a role")
	if err := g.StopEnvironment(t.Context(), 8, "review/blue"); err != nil {
		t.Errorf("of a project that is gone: %v", err)
	}
	s.Fail(gitlabtest.EnvironmentList, gitlabtest.Fault{Body: `[{"id":41,"name":"review/blue/other","state":"available"}]`})
	failsWith(t, s, g.StopEnvironment(t.Context(), 7, "review/blue"), `is not "review/blue", which it was asked for`)
	s.Reset()
	s.Heal()
	s.Fail(gitlabtest.EnvironmentStop, gitlabtest.Fault{Status: 500})
	failsWith(t, s, g.StopEnvironment(t.Context(), 7, "review/blue"), "answered 500")
	if asked := s.Asked(); len(slices.DeleteFunc(asked, func(a string) bool { return a[0] != 'P' })) != 1 {
		t.Errorf("a stop that failed was sent again: %s", asked)
	}
}
