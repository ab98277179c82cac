package webhook

import (
	"net/http"
	"strings"
	"testing"
)

func TestID_IsTheSameWhenSentAgain(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	id := func(h http.Header, body string) string {
		got, err := gitlabID(h, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const key, event, webhook = "Idempotency-Key", "X-Gitlab-Event-UUID", "X-Gitlab-Webhook-UUID"
	for _, tc := range []struct {
		name                 string
		first, again         http.Header
		firstBody, againBody string
		isSame               bool
	}{
		{"a key", header(key, "1-a", webhook, "x"), header(key, "1-a", webhook, "y"), "{}", "{}", true},
		{"two keys of one cause", header(key, "1-a", event, "e"), header(key, "1-b", event, "e"), "{}", "{}", false},
		{"before 17.4", header(event, "e", webhook, "x"), header(event, "e", webhook, "y"), "{}", "{}", true},
		{"before 17.4, a merge and the branch that it deletes", header(event, "e"), header(event, "e"), `{"a":1}`, `{"a":2}`, false},
		{"before 14.8", header(), header(), "{}", "{}", false},
	} {
		if same := id(tc.first, tc.firstBody) == id(tc.again, tc.againBody); same != tc.isSame {
			t.Errorf("%s: the same ID is %v", tc.name, same)
		}
	}
	other, err := githubID(header("X-GitHub-Delivery", "1-a"))
	if err != nil || other == id(header(key, "1-a"), "") {
		t.Errorf("GitHub's is %q: %v", other, err)
	}
}

func TestID_NoneIsRefused(t *testing.T) {
	if id, err := githubID(http.Header{}); err == nil {
		t.Errorf("it is %q", id)
	}
}

func FuzzID(f *testing.F) {
	for _, id := range []string{"", "1-a", "../../etc/passwd", "a b", "a\nb", "a\x00", strings.Repeat("x", 300), "é"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := senderID("gitlab", text)
		if err != nil {
			return
		}
		if id != "gitlab:"+text || len(text) > maxID || strings.ContainsAny(id, "/\\ \n\r\t\x00\x1b\"'") {
			t.Errorf("the ID is %q", id)
		}
		name := fileName(7, id)
		if number, h, err := parseName(name); err != nil || number != 7 || h != hash(id) {
			t.Errorf("%s is %d, %q, %v", name, number, h, err)
		}
	})
}
