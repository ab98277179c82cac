package review_test

import (
	"context"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

func openMergeRequest(p *review.Survey) {
	p.MergeRequests = []review.MergeRequest{{Number: 3, Branch: "login", State: "opened"}}
}

func TestNote_TellsTheMergeRequest(t *testing.T) {
	w, forge := newForgeWorld(t)
	w.Notes = &review.Notes{Login: "user *review*, password in the | wiki"}
	forge.Set(42, openMergeRequest)
	says := func(want ...string) {
		t.Helper()
		got := forge.Comment(42, 3, "login")
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("it does not say %q:\n%s", text, got)
			}
		}
	}
	w.deployedFrom("login", 2)
	says("[login.review.example.org](https://login.review.example.org)", "| live |", strings.Repeat("2", 40), `user *review*, password in the \| wiki`, "as long as its branch")

	job := w.from("login", 3)
	job.Settings.Env = map[string]string{"TOKEN": "hunter2hunter2"}
	files := site("three")
	files["Containerfile"] = containerfile("EXPOSE 80", "CMD [\"sh\", \"-c\", \"echo ``` @all hunter2hunter2; exit 3\"]")
	job.Checkout = reviewtest.Checkout{Files: files}
	if _, err := w.Deploy(context.Background(), job); err == nil {
		t.Fatal("it succeeded")
	}
	says("the deploy of 33333333 failed", "The version of 2222222 is still serving", "````\n", "@all [MASKED]")
	if got := forge.Comment(42, 3, "login"); strings.Contains(got, "hunter2") {
		t.Errorf("it tells a secret:\n%s", got)
	}

	forge.Set(42, func(p *review.Survey) { delete(p.Branches, "login") })
	w.syncs()
	says("Review app login.review.example.org is stopped", `branch "login" was deleted`)
}

func TestNote_OnlyIfConfigured(t *testing.T) {
	w, forge := newForgeWorld(t)
	forge.Set(42, openMergeRequest)
	w.deployedFrom("login", 2)
	if got := forge.Comment(42, 3, "login"); got != "" {
		t.Error(got)
	}
}
