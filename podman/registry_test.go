package podman

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/registrytest"
	"gitlab.com/review-executor/review-executor/review"
)

func TestPull_RegistryThatComesBack(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	r.Push(t, "back:1", labelled("one"))
	r.Fail(http.StatusServiceUnavailable, 2, "")
	var log sharedLog
	if _, err := pull(t, review.Pull{Image: r.Name("back:1"), Policy: review.PullAlways}, &log); err != nil {
		t.Fatal(err)
	}
	again := "Pulling image REGISTRY/back:1 again in TIME: initializing source docker://REGISTRY/back:1: reading manifest 1 in REGISTRY/back: " +
		"received unexpected HTTP status: 503 Service Unavailable\n"
	if !strings.HasPrefix(log.String(), again+again+"START ") {
		t.Errorf("the log says\n%s", log.String())
	}
}

func TestPull_RegistryThatStaysAwayIsNotTheJobsFault(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	r.Push(t, "away:1", labelled("one"))
	r.Fail(http.StatusBadGateway, 100, "")
	f := refused(t, review.Pull{Image: r.Name("away:1"), Policy: review.PullAlways}, new(sharedLog))
	says(t, f, review.System, "cannot be pulled", "502 Bad Gateway", "hint: not your branch: registry "+r.Addr)
	if r.Asked("away") != pullTries {
		t.Errorf("it was asked %d times, want %d", r.Asked("away"), pullTries)
	}
}

func TestPull_PasswordGoesToTheRegistryAndNowhereElse(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "group/private:1", labelled("one"))
	r.Protect("runner", "s3cret")
	wanted := review.Pull{Image: r.Name("group/private:1"), Policy: review.PullAlways}
	access := []string{"unauthorized", "hint: check the name, and that the CI variable DOCKER_AUTH_CONFIG has a user of " + r.Addr}

	var log sharedLog
	says(t, refused(t, wanted, &log), review.Build, access...)
	wanted.Username, wanted.Password = "runner", "wr0ng"
	f := refused(t, wanted, &log)
	says(t, f, review.Build, access...)
	if all := f.Text() + f.Error() + log.String(); strings.Contains(all, "wr0ng") || strings.Contains(all, "again in") {
		t.Errorf("the password, or another try:\n%s", all)
	}
	wanted.Password = "s3cret"
	if _, err := pull(t, wanted, &log); err != nil {
		t.Error(err)
	}
}

// TestPull_RunsNoCredentialHelper of whoever calls, as the bindings would.
func TestPull_RunsNoCredentialHelper(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "public:1", labelled("one"))
	dir := t.TempDir()
	for file, text := range map[string]string{
		"config.json":            `{"credHelpers": {"` + r.Addr + `": "evil"}}`,
		"docker-credential-evil": "#!/bin/sh\ntouch " + dir + "/ran\necho '{\"Username\": \"u\", \"Secret\": \"s\"}'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if _, err := pull(t, review.Pull{Image: r.Name("public:1"), Policy: review.PullAlways}, new(sharedLog)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it ran")
	}
}

func TestPull_MissingImageIsTheJobsFaultAndNotTriedAgain(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "shop:1", labelled("one"))
	var log sharedLog
	f := refused(t, review.Pull{Image: r.Name("shop:2"), Policy: review.PullIfNotPresent}, &log)
	says(t, f, review.Build, "shop:2 cannot be pulled\n", "manifest unknown", `hint: check the name, its registry and its tag under "image:"`)
	if r.Asked("shop") != 1 {
		t.Errorf("it was asked %d times", r.Asked("shop"))
	}
	want := "START Pulling image REGISTRY/shop:2 ended without it after TIME\nTrying to pull REGISTRY/shop:2...\nEND\n"
	if diff := cmp.Diff(want, strings.Replace(log.String(), "START [collapsed=true]", "START ", 1)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestPull_TwoAtOnceHaveASectionEach(t *testing.T) {
	r := registrytest.New(t)
	var (
		log  sharedLog
		both sync.WaitGroup
	)
	for _, name := range []string{"left:1", "right:1"} {
		r.Push(t, name, labelled(name))
		both.Go(func() {
			if _, err := pull(t, review.Pull{Image: r.Name(name), Policy: review.PullAlways}, &log); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	section := func(name string) string {
		return "START [collapsed=true]Pulled image REGISTRY/" + name + " in TIME\nTrying to pull REGISTRY/" + name + "...\nGetting image source signatures\nCopying blob HASH\n" +
			"Copying config HASH\nWriting manifest to image destination\nEND\n"
	}
	// Podman 4 has one more line.
	if got := strings.ReplaceAll(log.String(), "Storing signatures\n", ""); got != section("left:1")+section("right:1") && got != section("right:1")+section("left:1") {
		t.Errorf("the log says\n%s", got)
	}
}

func TestPull_Cancel(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "slow:1", labelled("one"))
	come := r.Stall()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-come
		cancel()
	}()
	var log sharedLog
	_, err := connect(t).Pull(ctx, review.Pull{Image: r.Name("slow:1"), Policy: review.PullAlways}, &log)
	if err == nil || !strings.Contains(err.Error(), "context canceled") || review.AsFailure(err).Kind != review.System {
		t.Errorf("%v", err)
	}
	if strings.Contains(log.String(), "again in") {
		t.Errorf("it was tried again:\n%s", log.String())
	}
}
