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
	login := func(user, password string) (ticket string) {
		t.Helper()
		eventually(t, "a login of "+user, func() bool {
			var status int
			status, ticket = ask(func(r *http.Request) { r.SetBasicAuth(user, password) })
			return status == http.StatusOK
		})
		return ticket
	}
	answers := func(ticket string, status int) {
		t.Helper()
		eventually(t, http.StatusText(status)+" for a ticket", func() bool {
			got, _ := ask(func(r *http.Request) { r.Header.Set("Cookie", ticket) })
			return got == status
		})
	}
	before := login("ann", password)
	if before == "" {
		t.Fatal("ann got no ticket")
	}
	answers(before, http.StatusOK)
	runProgram(t, "password", "remove", "ann").succeeded(t)
	answers(before, http.StatusUnauthorized)

	after := login("demo", "demo")
	if after == before {
		t.Error("the ticket is the same")
	}
	answers(after, http.StatusOK)
	answers(before, http.StatusUnauthorized)
}
