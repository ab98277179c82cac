package review_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

func TestSelection_Chooses(t *testing.T) {
	now := noon
	app := func(name, project string, age time.Duration, change ...func(*review.Record)) review.Record {
		r := review.Record{App: review.App{Name: name, Project: project}, Live: review.Release{ID: "1111111-1", Deployed: now.Add(-age)}}
		for _, f := range change {
			f(&r)
		}
		return r
	}
	all := []review.Record{
		app("shop-cart", "group/shop", time.Hour),
		app("shop-login", "group/shop", 100*time.Hour, func(r *review.Record) { r.Pinned = true }),
		app("wiki", "group/sub/wiki", 100*time.Hour, func(r *review.Record) { r.Live.Static, r.AutoStop = true, now }),
		app("new", "other/app", 0, func(r *review.Record) {
			r.Live, r.Pending = review.Release{}, []review.Pending{{Release: review.Release{ID: "2222222-2", Deployed: now.Add(-time.Minute)}}}
		}),
		app("going", "other/app", 100*time.Hour, func(r *review.Record) { r.Stopping = true }),
	}
	for want, s := range map[string]review.Selection{
		"shop-cart shop-login wiki new going": {},
		"shop-cart shop-login":                {Names: []string{"shop-*"}},
		"shop-login wiki":                     {Names: []string{"*-login", "wiki"}},
		"shop-cart":                           {Names: []string{"shop-*"}, Unpinned: true},
		"shop-cart shop-login new":            {Names: []string{"shop-login", "shop-cart", "new"}, Unpinned: true},
		"shop-cart  shop-login":               {Project: "group/*"},
		"shop-cart shop-login wiki":           {Project: "group/**"},
		"shop-login wiki going":               {Older: 72 * time.Hour},
		"shop-cart new":                       {Newer: 72 * time.Hour},
		"shop-login":                          {States: []string{"pinned"}},
		"shop-login wiki ":                    {States: []string{"pinned", "expiring"}},
		"wiki":                                {States: []string{"static"}},
		"new":                                 {States: []string{"deploying"}},
		"going":                               {States: []string{"stopping"}},
		" shop-cart shop-login wiki":          {States: []string{"live"}},
		"wiki  ":                              {States: []string{"sleeping", "stopping"}, Asleep: map[string]bool{"wiki": true, "going": false}, Project: "group/**"},
		"":                                    {Project: "group/**", States: []string{"stopping"}},
	} {
		if err := s.Problem(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
		var got []string
		for _, r := range all {
			if s.Chooses(r, now) {
				got = append(got, r.Name)
			}
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%+v chooses %q, want %q", s, got, want)
		}
	}
}

func TestSelection_ProblemsAreSaid(t *testing.T) {
	for want, s := range map[string]review.Selection{
		`"[" is no pattern`:      {Names: []string{"["}},
		`"{a" is no pattern`:     {Project: "{a"},
		`"alive" is no state`:    {States: []string{"live", "alive"}},
		"an age is more than no": {Older: -time.Hour},
	} {
		if err := s.Problem(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
}
