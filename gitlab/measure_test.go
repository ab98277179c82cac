package gitlab_test

import (
	"fmt"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

// manyProjects is what a busy host asks for: 20 projects with 50 apps each, every
// app with a branch, an environment and a merge request.
func manyProjects(s *gitlabtest.Server) {
	for id := int64(1); id <= 20; id++ {
		p := gitlabtest.Project{ID: id, Path: fmt.Sprintf("group/project-%d", id)}
		for app := int64(1); app <= 50; app++ {
			name := fmt.Sprintf("feature/%d", app)
			p.Branches = append(p.Branches, name)
			p.Environments = append(p.Environments, gitlabtest.Environment{Name: "review/" + name})
			p.MergeRequests = append(p.MergeRequests, gitlabtest.MergeRequest{IID: app, Branch: name})
		}
		s.Set(p)
	}
}

func surveyAll(t testing.TB, s *gitlabtest.Server, dir string) {
	t.Helper()
	g := open(t, config(t, s), dir)
	for id := int64(1); id <= 20; id++ {
		got, err := g.Survey(t.Context(), review.Query{ProjectID: id, Since: time.Now().Add(-time.Hour)})
		if err != nil || len(got.Branches) != 50 || len(got.Environments) != 50 || len(got.MergeRequests) != 50 {
			t.Fatalf("%d: %v, %+v", id, err, got)
		}
	}
}

func TestSurvey_OfTwentyProjectsTakesAHundredRequests(t *testing.T) {
	s := start(t)
	manyProjects(s)
	dir := t.TempDir()
	for range 2 {
		s.Reset()
		surveyAll(t, s, dir)
		if n := len(s.Asked()); n > 100 {
			t.Errorf("%d requests: %v", n, s.Requests())
		}
	}
	if s.NotModified() == 0 {
		t.Error("nothing was kept")
	}
}

func BenchmarkSurvey_TwentyProjects(b *testing.B) {
	s := start(b)
	manyProjects(s)
	for name, dir := range map[string]string{"first": "", "unchanged": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			if dir != "" {
				surveyAll(b, s, dir)
			}
			s.Reset()
			b.ReportAllocs()
			for b.Loop() {
				surveyAll(b, s, dir)
			}
			b.ReportMetric(float64(len(s.Asked()))/float64(b.N), "requests/op")
		})
	}
}
