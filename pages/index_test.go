package pages_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestIndex(t *testing.T) {
	for name, o := range map[string]review.Overview{"none": {At: noon}, "three": three()} {
		h := newHost(t)
		h.write(o)
		golden(t, name+".html", withoutHead(h.read("index/index.html")))
		golden(t, name+".json", h.read("index/apps.json"))
	}
}

// withoutHead leaves out style and script, which have files of their own.
func withoutHead(page string) string {
	before, rest, _ := strings.Cut(page, `<meta http-equiv="Content-Security-Policy"`)
	_, after, _ := strings.Cut(rest, "</head>")
	return before + "</head>" + after
}

func TestIndex_ShowsTheLastTwentyThatEndedNewestFirst(t *testing.T) {
	h := newHost(t)
	h.write(many(200)) // 25 have ended
	page := h.read("index/index.html")
	if n := strings.Count(page, `class="past"`); n != 20 {
		t.Errorf("%d of those that ended are shown, not 20", n)
	}
	if strings.Index(page, "old-001") < strings.Index(page, "old-000") || strings.Contains(page, "old-020") {
		t.Error("those that ended are not the newest, newest first")
	}
}

func TestAppsJSON_HasNoLinkThatIsNone(t *testing.T) {
	s := seen("group/shop", "login-form", "main", 0)
	s.URL, s.Live.JobURL = "javascript:alert(1)", "javascript:alert(1)//-/jobs/1"
	h := newHost(t)
	h.write(review.Overview{Apps: []review.Seen{s}})
	var list struct{ Apps []map[string]any }
	if err := json.Unmarshal([]byte(h.read("index/apps.json")), &list); err != nil {
		t.Fatal(err)
	}
	app := list.Apps[0]
	if app["url"] != "" || app["job_url"] != nil || app["merge_request_url"] != nil {
		t.Errorf("apps.json links to what is no plain address: %v", app)
	}
}
