package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestPassword_WhoeverGoesIsLoggedOutAtOnce is about the ticket that stands for a
// password once it was given.
func TestPassword_WhoeverGoesIsLoggedOutAtOnce(t *testing.T) {
	p := newProject(t, page("for ann"))
	p.try("main").succeeded(t)
	password := strings.TrimSpace(runProgram(t, "password", "set", "ann", "--generate").succeeded(t).stdout)
	ask := func(change func(*http.Request)) (int, string) {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		got := host.Do(t, req, "main.review.localhost", false)
		ticket, _, _ := strings.Cut(got.Header.Get("Set-Cookie"), ";")
		return got.Status, ticket
	}
	holds := func(ticket string) bool {
		status, _ := ask(func(r *http.Request) { r.Header.Set("Cookie", ticket) })
		return status == http.StatusOK
	}
	// A process that is about to end may still give the ticket of before.
	login := func(user, password, not string) (ticket string) {
		t.Helper()
		eventually(t, user+" gets a new ticket", func() bool {
			_, ticket = ask(func(r *http.Request) { r.SetBasicAuth(user, password) })
			return ticket != not && holds(ticket)
		})
		return ticket
	}
	ticket := login("ann", password, "")
	runProgram(t, "password", "remove", "ann").succeeded(t)
	eventually(t, "the ticket is worth nothing", func() bool { return !holds(ticket) })
	login("demo", "demo", ticket)
}
