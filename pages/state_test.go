package pages_test

import (
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestState(t *testing.T) {
	silent := seen("group/shop", "silent", "main", 0)
	silent.Attempt = attempt(silent, true, unhealthy)
	asleep := seen("group/shop", "asleep", "main", 0)
	asleep.SleepAfter = "1h"
	next := seen("group/shop", "next", "main", 0)
	next.Attempt = attempt(next, false, "")
	first := next
	first.Name, first.Host = "first", "first."+domain
	failed := silent
	failed.Name, failed.Host = "failed", "failed."+domain
	stopping := seen("group/shop", "stopping", "main", 0)
	stopping.Stopping, stopping.State, stopping.Why = true, "stopping", "merge request !9 was merged"
	h := newHost(t)
	h.write(review.Overview{
		Apps:  []review.Seen{silent, asleep, next, neverLive(first, "deploying"), neverLive(failed, "failed"), stopping},
		Ended: []review.Ending{ended("gone", `branch "x" was deleted`, 0)},
	})
	for _, name := range []string{"silent", "asleep", "next", "first", "failed", "stopping", "gone"} {
		page := h.read("state/" + name + "." + domain + ".html")
		golden(t, "state-"+name+".html", withoutHead(page))
		refreshes := regexp.MustCompile(`http-equiv="refresh"`).MatchString(page)
		if wanted := name == "next" || name == "first"; refreshes != wanted {
			t.Errorf("the page of %s reloads itself: %v", name, refreshes)
		}
	}
}

// TestWaking says what goes on, and loads itself anew.
func TestWaking(t *testing.T) {
	h := newHost(t)
	h.write(review.Overview{})
	page := h.read("waking.html")
	golden(t, "waking.html", withoutHead(page))
	if !strings.Contains(page, `<meta http-equiv="refresh" content="5">`) {
		t.Error("it does not load itself anew")
	}
}

func TestState_OnlyHostsUnderTheDomainHaveAPage(t *testing.T) {
	h := newHost(t)
	var o review.Overview
	for _, name := range []string{
		"", "index.html", "../../evil." + domain, "a/b." + domain, "." + domain, "a.b." + domain, "UPPER." + domain,
		"evil.example.com", "evil" + domain, domain, "x\x00." + domain, "xn--e1afmkfd." + domain, strings.Repeat("a", 64) + "." + domain,
	} {
		s := seen("group/shop", "app", "main", 0)
		s.Host = name
		o.Apps = append(o.Apps, s)
		e := ended("app", "", 0)
		e.Host = name
		o.Ended = append(o.Ended, e)
	}
	o.Apps = append(o.Apps, seen("group/shop", "good", "main", 0))
	h.write(o)
	var pages []string
	for file := range h.files() {
		if name, found := strings.CutPrefix(file, h.dir+"/"); found {
			pages = append(pages, name)
		}
	}
	if len(pages) != 6 || !h.has("state/good."+domain+".html") {
		t.Errorf("the files are %q, not index.html, apps.json, robots.txt, waking.html, made.json and the page of good", pages)
	}
}

func TestState_AnAppHidesTheEndOfAnEarlierOne(t *testing.T) {
	h := newHost(t)
	h.write(review.Overview{Apps: []review.Seen{seen("group/shop", "cart", "main", 0)}, Ended: []review.Ending{ended("cart", "long ago", 0)}})
	if page := h.read("state/cart." + domain + ".html"); strings.Contains(page, "long ago") {
		t.Error("the page of an app tells of an earlier one")
	}
}
