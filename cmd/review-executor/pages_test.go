package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// www is a file that is served beside the apps.
func www(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(host.Dir, "vhosts", "www", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPages_FollowTheApp has an app deployed, redeployed in vain, and stopped.
func TestPages_FollowTheApp(t *testing.T) {
	type app struct {
		Name, URL, State, SHA string
		LastFailure           *struct{ SHA, Why string } `json:"last_failure"`
	}
	apps := func() []app {
		var list struct{ Apps []app }
		if err := json.Unmarshal([]byte(www(t, "index/apps.json")), &list); err != nil {
			t.Fatal(err)
		}
		// Other tests' failed deploys are there for three days.
		return slices.DeleteFunc(list.Apps, func(a app) bool { return a.Name != "main" })
	}
	p := newProject(t, page("good"))
	good := strings.TrimSpace(p.git("rev-parse", "HEAD"))
	p.try("main").succeeded(t)
	if got := apps(); len(got) != 1 || got[0].State != "live" || got[0].SHA != good || got[0].LastFailure != nil || got[0].URL != "http://main.review.localhost:"+host.Port {
		t.Errorf("after a deploy apps.json has %+v", got)
	}
	if got := host.Get(t, "review.localhost", "/", false); got.Status != 401 || strings.Contains(got.Body, "main") {
		t.Errorf("without the password the index page answers %d %q", got.Status, got.Body)
	}
	for path, want := range map[string]string{"/": "http://main.review.localhost:" + host.Port, "/apps.json": good} {
		if got := host.Get(t, "review.localhost", path, true); got.Status != 200 || !strings.Contains(got.Body, want) {
			t.Errorf("%s answers %d %q", path, got.Status, got.Body)
		}
	}

	bad := p.commit(map[string]string{"Containerfile": "FROM localhost/review-demo/busybox\nRUN false\n"})
	p.try("main").failed(t)
	if got := apps(); len(got) != 1 || got[0].State != "live" || got[0].SHA != good || got[0].LastFailure == nil || got[0].LastFailure.SHA != bad {
		t.Errorf("after a failed deploy apps.json has %+v", got)
	}
	if page := www(t, "state/main.review.localhost.html"); !strings.Contains(page, "The last deploy failed") {
		t.Errorf("the page of the app does not tell of the failed deploy:\n%s", page)
	}

	p.try("main", "--stop").succeeded(t)
	if got := apps(); len(got) != 0 {
		t.Errorf("after the stop apps.json has %+v", got)
	}
	if page := www(t, "state/main.review.localhost.html"); !strings.Contains(page, "has ended") {
		t.Errorf("the page of the app does not tell that it has ended:\n%s", page)
	}
	if got := host.Get(t, "main.review.localhost", "/", true); got.Status != 404 || !strings.Contains(got.Body, "has ended") {
		t.Errorf("in the place of the app there is %d %q", got.Status, got.Body)
	}
	if index := www(t, "index/index.html"); !strings.Contains(index, "Recently ended") {
		t.Errorf("the index page does not tell of the app that has ended:\n%s", index)
	}
}
