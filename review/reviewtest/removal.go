package reviewtest

import (
	"context"
	"fmt"
	"slices"

	"gitlab.com/review-executor/review-executor/review"
)

func objectsCarryEveryLabel(t trial) {
	t.build("r1", "RUN echo one")
	t.build("r2", "RUN echo two")
	t.start("r3", "sleep 1000") // both an image and a container of r3
	t.values([]string{"r1", "r2", "r3"}, t.labels(""))
	t.values([]string{"r2"}, t.labels("r2"))
	t.values(nil, t.labels("r4"))
	t.values(nil, map[string]string{review.LabelApp: "somebody-else", review.LabelRelease: "r1"})
	t.values([]string{"r2"}, map[string]string{review.LabelApp: review.AnyValue, review.LabelRelease: "r2"})
	t.values(nil, map[string]string{review.LabelApp: t.name, review.LabelRelease: ""})

	if err := t.EnsureNetwork(t.Context(), t.name, t.labels("r3")); err != nil {
		t.Fatal(err)
	}
	if _, err := t.CreateVolume(t.Context(), t.name, t.labels("r3"), 0); err != nil {
		t.Fatal(err)
	}
	there, err := t.Objects(t.Context(), t.labels("r3"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range there {
		got = append(got, fmt.Sprintf("%s %s %t", o.Kind, o.Name, o.Running))
	}
	t.equal("objects of r3", []string{
		"container review-app-" + t.name + "-r3 true", "image " + t.tag("r3") + " false", "network " + t.name + " false", "volume " + t.name + " false",
	}, slices.Sorted(slices.Values(got)))
}

// removeTakesWhatCarriesEveryLabel has two releases, each with one object of
// every kind, and one of nobody's.
func removeTakesWhatCarriesEveryLabel(t trial) {
	objects := map[string][]string{}
	for _, release := range []string{"r1", "r2"} {
		t.start(release, "sleep 1000")
		name := t.name + "-" + release
		if err := t.EnsureNetwork(t.Context(), name, t.labels(release)); err != nil {
			t.Fatal(err)
		}
		if _, err := t.CreateVolume(t.Context(), name, t.labels(release), 0); err != nil {
			t.Fatal(err)
		}
		objects[release] = []string{"container review-app-" + name, "image " + t.tag(release), "network " + name, "volume " + name}
	}
	t.has(true, append(objects["r1"], objects["r2"]...)...)
	remove := func(labels map[string]string) {
		t.Helper()
		for range 2 { // what is already gone is not an error
			if err := t.Remove(t.Context(), labels, 0); err != nil {
				t.Error(err)
			}
		}
	}

	remove(map[string]string{review.LabelApp: "somebody-else", review.LabelRelease: "r1"})
	t.has(true, append(objects["r1"], objects["r2"]...)...)
	remove(t.labels("r1"))
	t.has(false, objects["r1"]...)
	t.has(true, objects["r2"]...)
	remove(t.labels(""))
	t.has(false, append(objects["r1"], objects["r2"]...)...)
	if _, err := t.Image(t.Context(), t.Base); err != nil {
		t.Errorf("the base image is gone: %v", err)
	}
}

func removeWithoutLabelsIsRefused(t trial) {
	id := t.start("r1", "sleep 1000")
	for _, labels := range []map[string]string{nil, {}} {
		if err := t.Remove(context.Background(), labels, 0); err == nil {
			t.Error("everything was removed")
		}
	}
	if !t.state(id).Running {
		t.Error("the container was removed")
	}
}

func removedContainerServesNoMore(t trial) {
	id, backend := t.serving("r1")
	t.eventually("it serves", func() bool { return page(backend) != "" })
	if err := t.Remove(t.Context(), t.labels("r1"), 0); err != nil {
		t.Fatal(err)
	}
	if got := page(backend); got != "" {
		t.Errorf("it still serves %q", got)
	}
	if state, err := t.State(t.Context(), id); err == nil {
		t.Errorf("a removed container is %+v", state)
	}
}
