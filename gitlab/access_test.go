package gitlab_test

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

func TestJobUser(t *testing.T) {
	s := start(t)
	s.Change(7, func(p *gitlabtest.Project) { p.Jobs = []gitlabtest.Job{{ID: 4711, User: 12}, {ID: 4712}} })
	g := open(t, config(t, s), "")
	if got, err := g.JobUser(t.Context(), 7, 4711); err != nil || got != 12 {
		t.Errorf("%d, %v", got, err)
	}
	for _, job := range []int64{4712, 4713} { // of nobody, and none
		if got, err := g.JobUser(t.Context(), 7, job); err == nil || got != 0 {
			t.Errorf("job %d is user %d's", job, got)
		}
	}
}

func TestAccessLevel_OfMembers(t *testing.T) {
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
	for _, test := range []struct {
		name   string
		member gitlabtest.Member
		want   int
	}{
		{"a developer", gitlabtest.Member{UserID: 12, Level: 30}, 30},
		{"an owner until next week", gitlabtest.Member{UserID: 12, Level: 50, Expires: day(7)}, 50},
		{"expired yesterday", gitlabtest.Member{UserID: 12, Level: 50, Expires: day(-1)}, 0},
		{"expires with this day's beginning", gitlabtest.Member{UserID: 12, Level: 50, Expires: day(0)}, 0},
		{"blocked", gitlabtest.Member{UserID: 12, Level: 50, State: "blocked"}, 0},
		{"banned", gitlabtest.Member{UserID: 12, Level: 50, State: "banned"}, 0},
		{"awaiting", gitlabtest.Member{UserID: 12, Level: 50, Membership: "awaiting"}, 0},
		{"no access", gitlabtest.Member{UserID: 12, Level: 0}, 0},
		{"somebody else", gitlabtest.Member{UserID: 13, Level: 50}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			s.Change(7, func(p *gitlabtest.Project) { p.Members = []gitlabtest.Member{test.member} })
			got, err := open(t, config(t, s), "").AccessLevel(t.Context(), 7, 12)
			if err != nil || got != test.want {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
}

func TestAccessLevel_CannotBeKnown(t *testing.T) {
	for name, test := range map[string]struct {
		fault gitlabtest.Fault
		says  string
	}{
		"another user":   {gitlabtest.Fault{Body: `{"id":13,"state":"active","access_level":50}`}, "it is of user 13"},
		"nobody":         {gitlabtest.Fault{Body: `{"state":"active","access_level":50}`}, "it is of user 0"},
		"a list":         {gitlabtest.Fault{Body: `[{"id":12,"state":"active","access_level":50}]`}, "answered 200, but"},
		"a word":         {gitlabtest.Fault{Body: `{"id":12,"state":"active","access_level":"owner"}`}, "cannot unmarshal"},
		"404 of a proxy": {gitlabtest.Fault{Status: 404, Body: "<h1>", Header: html}, "answered 404"},
		"403":            {gitlabtest.Fault{Status: 403}, "answered 403"},
		"401":            {gitlabtest.Fault{Status: 401}, "hint: the token"},
		"500":            {gitlabtest.Fault{Status: 500}, "answered 500"},
		"429":            {gitlabtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"99"}}}, "answered 429"},
		"truncated":      {gitlabtest.Fault{Truncate: true}, "ended after"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Fail(gitlabtest.MemberOne, test.fault)
			dir := t.TempDir()
			for range 2 { // no error is kept
				level, err := open(t, config(t, s), dir).AccessLevel(t.Context(), 7, 12)
				failsWith(t, s, err, "GitLab does not tell what user 12 may do in project 7", test.says)
				if level != 0 {
					t.Errorf("level %d", level)
				}
			}
		})
	}
	s := start(t)
	_, err := open(t, config(t, s), "").AccessLevel(t.Context(), 8, 12)
	failsWith(t, s, err, "404 Project Not Found", "hint: is there such a project")
}

func TestAccessLevel_IsBelievedForAMinute(t *testing.T) {
	s := start(t)
	c, dir := config(t, s), t.TempDir()
	level := func(c gitlab.Config) int {
		t.Helper()
		level, err := open(t, c, dir).AccessLevel(t.Context(), 7, 12)
		if err != nil {
			t.Fatal(err)
		}
		return level
	}
	level(c)
	s.Change(7, func(p *gitlabtest.Project) { p.Members[0].Level = 10 })
	if got := level(c); got != 30 || s.Requests()[gitlabtest.MemberOne] != 1 {
		t.Errorf("%d, asked %v", got, s.Requests())
	}
	var kept string
	for _, file := range files(t, dir) {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
		if len(file) > 5 && file[len(file)-5:] == ".json" {
			kept = file
		}
	}
	data, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	change := func(key string, value any) []byte {
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		fields[key] = value
		changed, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	for name, content := range map[string][]byte{
		"damaged":        data[:len(data)/2],
		"empty":          nil,
		"old":            change("asked", time.Now().Add(-61*time.Second)),
		"of the future":  change("asked", time.Now().Add(time.Hour)),
		"of another":     change("owner", "somebody"),
		"without a time": change("asked", nil),
	} {
		if err := os.WriteFile(kept, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := level(c); got != 10 {
			t.Errorf("%s: level %d", name, got)
		}
	}
}
