package podman

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

// leave has a build fail whose steps hold about a MiB each, and returns their IDs.
func leave(t *testing.T, p *Podman, name string, steps int) []string {
	t.Helper()
	text := "FROM " + hosttest.Busybox + "\nLABEL " + review.LabelProjectID + "=7\n"
	for i := range steps {
		text += fmt.Sprintf("RUN echo %s; head -c 1048576 /dev/urandom >/%d\n", name, i)
	}
	var log bytes.Buffer
	_, err := p.Build(t.Context(), review.BuildSpec{
		Tag: "localhost/review/" + name + ":1", Containerfile: "Containerfile",
		Context: reviewtest.Tar(map[string]string{"Containerfile": text + "RUN false\n"}),
	}, &log)
	if err == nil {
		t.Fatal("it was built")
	}
	var ids []string
	for _, line := range strings.Split(log.String(), "\n") {
		if id, found := strings.CutPrefix(line, "--> "); found && !strings.HasPrefix(id, "Using cache") {
			ids = append(ids, id)
		}
	}
	t.Cleanup(func() { host.Podman(t, "image", "prune", "--force") })
	return ids
}

func imageIDs(t *testing.T) string {
	t.Helper()
	return host.Podman(t, "images", "--all", "--no-trunc", "--format", "{{.ID}}")
}

func TestPruneBuildCache_KeepsTheBudget(t *testing.T) {
	p := connect(t)
	old, recent := leave(t, p, "old", 2), leave(t, p, "recent", 2)
	// A named image that is built on what an even older build has left.
	base := leave(t, p, "base", 1)
	host.Podman(t, "tag", base[len(base)-1], "localhost/test/kept:1")
	t.Cleanup(func() { host.Podman(t, "rmi", "--force", "localhost/test/kept:1") })
	has := func(ids []string) bool { return strings.Contains(imageIDs(t), ids[len(ids)-1]) }

	for _, c := range []struct {
		budget            review.Bytes
		old, recent, base bool
	}{{0, true, true, true}, {1 << 30, true, true, true}, {3 << 20, false, true, true}, {1, false, false, true}} {
		if err := p.PruneBuildCache(t.Context(), c.budget); err != nil {
			t.Fatal(err)
		}
		if has(old) != c.old || has(recent) != c.recent || has(base) != c.base {
			t.Errorf("with a budget of %s the cache has the old %t, the recent %t, what is needed %t; want %+v\n%s", c.budget, has(old), has(recent), has(base), c, imageIDs(t))
		}
	}
	if _, err := p.Image(t.Context(), hosttest.Busybox); err != nil {
		t.Error(err)
	}
}

func TestPruneBuildCache_LeavesOthersImagesAlone(t *testing.T) {
	p := connect(t)
	ids := leave(t, p, "dangling", 1)
	id := ids[len(ids)-1]
	host.Podman(t, "create", "--name", "uses-it", id, "true")
	t.Cleanup(func() { host.Podman(t, "rm", "--force", "uses-it") })
	if err := p.PruneBuildCache(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(imageIDs(t), id) {
		t.Error("an image that a container uses is gone")
	}
}
