package pages_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/review"
)

// words are all that a stranger may choose.
type words struct{ ref, project, user, why string }

// overview has the words in every place, in apps of all states.
func (w words) overview() review.Overview {
	var o review.Overview
	add := func(name, state string, change func(*review.Seen)) {
		s := seen(w.project, name, w.ref, 0)
		s.Live.User, s.Live.SHA, s.State = w.user, w.ref, state
		s.Live.JobURL = "https://gitlab.example.org/group/shop/-/jobs/4711"
		change(&s)
		o.Apps = append(o.Apps, s)
	}
	tried := func(s *review.Seen, failed bool) {
		s.Attempt = attempt(*s, failed, w.why)
		s.Attempt.SHA, s.Attempt.User, s.Attempt.JobURL = w.ref, w.user, "https://gitlab.example.org/group/shop/-/jobs/4712"
	}
	add("a-live", "live", func(s *review.Seen) { tried(s, true) })
	add("b-next", "live", func(s *review.Seen) { tried(s, false) })
	add("c-deploying", "deploying", func(s *review.Seen) { tried(s, false); *s = neverLive(*s, "deploying") })
	add("d-failed", "failed", func(s *review.Seen) { tried(s, true); *s = neverLive(*s, "failed") })
	add("e-stopping", "stopping", func(s *review.Seen) { s.Stopping, s.Why = true, w.why })
	gone := ended("gone", w.why, 0)
	gone.Ref, gone.SHA, gone.Project = w.ref, w.ref, w.project
	o.Ended = []review.Ending{gone}
	return o
}

// htmlPages are the pages of the overview, by path.
func htmlPages(t *testing.T, o review.Overview) map[string]string {
	t.Helper()
	p := pages.New("", domain, "")
	p.Index = "https://" + domain
	contents, err := p.Render(o)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name, content := range contents {
		if strings.HasSuffix(name, ".html") {
			all[name] = string(content)
		}
	}
	return all
}

// skeletons are the elements of each page, with all of their attributes.
func skeletons(t *testing.T, o review.Overview) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for name, page := range htmlPages(t, o) {
		all[name] = skeleton(t, page)
	}
	return all
}

func skeleton(t *testing.T, page string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var elements []string
	for node := range root.Descendants() {
		switch node.Type {
		case html.CommentNode:
			elements = append(elements, "comment")
		case html.ElementNode:
			element := node.Data
			for _, a := range node.Attr {
				element += fmt.Sprintf(" %s=%q", a.Key, a.Val)
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
					t.Errorf("there is %s", element)
				}
				if a.Key == "href" && !strings.HasPrefix(a.Val, "https://gitlab.example.org/") && !strings.HasPrefix(a.Val, "https://"+domain) &&
					!strings.HasSuffix(a.Val, "."+domain) && a.Val != "apps.json" {
					t.Errorf("a page links to %q", a.Val)
				}
			}
			elements = append(elements, element)
		}
	}
	return elements
}

var harmless = words{"main", "group/shop", "anna", "it did not start"}

var hostileWords = []string{
	`<script>alert(1)</script>`, `</style><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, "`${alert(1)}`",
	`javascript:alert(1)`, `--><svg onload=alert(1)>`, `</title><base href=//evil.example>`, `{{.Domain}}`, `&lt;b&gt;&#34;`, `]]><!--`, "\x00\x1b[31m\r\n",
	"\u202egnp.exe", "\u2066\u2069\u200f", "עברית", "\xff\xfe", `<meta http-equiv=refresh content="0;url=//evil.example">`, strings.Repeat("x", 10<<10), strings.Repeat("<", 10<<10),
}

func TestPages_StrangersWordsBreakNoPage(t *testing.T) {
	want := skeletons(t, harmless.overview())
	if len(want) != 8 {
		t.Fatalf("there are %d pages", len(want))
	}
	for _, text := range hostileWords {
		if diff := cmp.Diff(want, skeletons(t, words{text, text, text, text}.overview())); diff != "" {
			t.Errorf("%.80q changes the pages (-harmless +hostile):\n%s", text, diff)
		}
	}
}

func TestPages_NoCharacterTurnsTheTextAround(t *testing.T) {
	for name, page := range htmlPages(t, words{"\u202eref", "\u2067project", "\u200fuser", "\u061cwhy"}.overview()) {
		if strings.ContainsAny(page, "\u202e\u2067\u200f\u061c") {
			t.Errorf("%s has a character that changes the direction of text", name)
		}
	}
}

func TestPages_OnlyPlainLinksAreLinks(t *testing.T) {
	for _, link := range []string{
		"javascript:alert(1)//-/jobs/1", "data:text/html,x/-/jobs/1", "//evil.example/-/jobs/1", "https://gitlab.example.org/a\"b/-/jobs/1",
		"https://gitlab.example.org@evil.example/-/jobs/1", "JaVaScRiPt:x", "https://gitlab.example.org/?x=/-/jobs/1", " https://x/-/jobs/1",
	} {
		o := harmless.overview()
		for i := range o.Apps {
			o.Apps[i].URL, o.Apps[i].Live.JobURL = link, link
			if o.Apps[i].Attempt != nil {
				o.Apps[i].Attempt.JobURL = link
			}
		}
		for name, elements := range skeletons(t, o) {
			for _, element := range elements {
				if strings.HasPrefix(element, "a ") && element != `a href="apps.json"` && element != `a href="https://`+domain+`"` {
					t.Errorf("%s: %q became %s", name, link, element)
				}
			}
		}
	}
}

// FuzzPages: whatever strangers write, the pages have the same elements with the
// same attributes.
func FuzzPages(f *testing.F) {
	for i, text := range hostileWords {
		f.Add(text, hostileWords[(i+1)%len(hostileWords)], hostileWords[(i+2)%len(hostileWords)], hostileWords[(i+3)%len(hostileWords)])
	}
	var want map[string][]string
	f.Fuzz(func(t *testing.T, ref, project, user, why string) {
		if ref == "" || project == "" || user == "" || why == "" {
			return // what is not known is left out
		}
		if want == nil {
			want = skeletons(t, harmless.overview())
		}
		if diff := cmp.Diff(want, skeletons(t, words{ref, project, user, why}.overview())); diff != "" {
			t.Errorf("the pages differ (-harmless +hostile):\n%s", diff)
		}
	})
}
