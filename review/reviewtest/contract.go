package reviewtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// Subject is a container engine on trial.
type Subject struct {
	review.Containers
	// Crash ends a container from outside.
	Crash func(t testing.TB, id string)
	// Inventory lists what there is as Engine.Inventory does, and may list more.
	Inventory func(t testing.TB) []string
	// Base is an image with a shell and busybox's httpd.
	Base string
}

// trial is one test of an engine. What it makes carries the label app=NAME.
type trial struct {
	*testing.T
	Subject
	name string
}

// Containers tries an engine: everything that review.Containers promises, and
// that a fake can promise too.
func Containers(t *testing.T, s Subject) {
	for name, test := range map[string]func(trial){
		"build-labels":    imageCarriesItsLabels,
		"build-fails":     failedBuildLeavesNoImage,
		"image":           imageIsDescribed,
		"network":         networkIsMadeOnce,
		"start":           startedContainerServesOnLoopback,
		"start-fails":     missingCommandLeavesNoContainer,
		"ended":           endedContainerTellsItsCode,
		"restarts":        restartsAreCounted,
		"logs":            logsAreTheLastLines,
		"follow":          logIsFollowedToTheEnd,
		"follow-part":     logIsReadFromSomewhere,
		"consumption":     consumptionIsOfWhatRuns,
		"stored":          storedTellsSizes,
		"discard":         discardLeavesWhatIsUsed,
		"health":          healthCheckTellsWhy,
		"objects":         objectsCarryEveryLabel,
		"volume":          volumeIsMadeOnce,
		"stop":            stoppedContainerStays,
		"resume":          resumedContainerServesWhereItDid,
		"host-port":       hostPortIsKeptOrTaken,
		"run":             runTellsOutputAndCode,
		"listens":         listensOnceItServes,
		"remove":          removeTakesWhatCarriesEveryLabel,
		"remove-all":      removeWithoutLabelsIsRefused,
		"cancelled":       cancelledCallsFail,
		"removed-running": removedContainerServesNoMore,
	} {
		t.Run(name, func(t *testing.T) {
			tr := trial{t, s, "contract-" + name}
			tr.removeAll()
			t.Cleanup(tr.removeAll)
			test(tr)
		})
	}
}

func (t trial) removeAll() {
	t.Helper()
	if err := t.Remove(context.Background(), t.labels(""), 0); err != nil {
		t.Error(err)
	}
}

// labels are those of a release of the trial's app; "" means every release.
func (t trial) labels(release string) map[string]string {
	labels := map[string]string{review.LabelApp: t.name}
	if release != "" {
		labels[review.LabelRelease] = release
	}
	return labels
}

func (t trial) tag(release string) string { return "localhost/review/" + t.name + ":" + release }

// tryBuild builds an image of the Containerfile's lines after FROM.
func (t trial) tryBuild(release string, lines ...string) (id, log string, err error) {
	t.Helper()
	files := map[string]string{
		"web/Containerfile": strings.Join(append([]string{"FROM " + t.Base}, lines...), "\n") + "\n",
		"index.html":        "page of " + release,
	}
	var out bytes.Buffer
	id, err = t.Build(t.Context(), review.BuildSpec{
		Tag:           t.tag(release),
		Context:       Tar(files),
		Containerfile: "web/Containerfile",
		Labels:        t.labels(release),
	}, &out)
	return id, out.String(), err
}

func (t trial) build(release string, lines ...string) (id string) {
	t.Helper()
	id, log, err := t.tryBuild(release, lines...)
	if err != nil {
		t.Fatalf("build: %v\n%s", err, log)
	}
	return id
}

// start builds an image that runs a script and starts it.
func (t trial) start(release, script string, change ...func(*review.Container)) (id string) {
	t.Helper()
	image := t.build(release, "COPY . /www", "EXPOSE 8080", `CMD ["sh", "-c", "`+script+`"]`)
	spec := review.Container{Name: "review-app-" + t.name + "-" + release, Image: image, Labels: t.labels(release)}
	for _, f := range change {
		f(&spec)
	}
	id, err := t.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// serving starts a container that serves its context on a port of loopback.
func (t trial) serving(release string) (id, backend string) {
	t.Helper()
	id = t.start(release, "echo up; exec httpd -f -p 8080 -h /www", func(c *review.Container) { c.Port = 8080 })
	return id, t.state(id).Backend
}

func (t trial) state(id string) review.State {
	t.Helper()
	state, err := t.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// eventually waits for what the engine does in its own time. How long that
// takes is nobody's promise.
func (t trial) eventually(what string, is func() bool) {
	t.Helper()
	for range 300 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("it is still not so that %s", what)
}

func (t trial) has(want bool, objects ...string) {
	t.Helper()
	all := t.Inventory(t)
	for _, object := range objects {
		if slices.Contains(all, object) != want {
			t.Errorf("it is not %t that there is a %s", want, object)
		}
	}
}

func (t trial) isBuildFailure(err error) {
	t.Helper()
	if err == nil || review.AsFailure(err).Kind != review.Build {
		t.Errorf("%v is no build failure", err)
	}
}

// values are the distinct releases of what carries the labels.
func (t trial) values(want []string, labels map[string]string) {
	t.Helper()
	there, err := t.Objects(t.Context(), labels)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range there {
		if o.Labels[review.LabelApp] == t.name { // others may be at work here
			got = append(got, o.Labels[review.LabelRelease])
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(want, got) {
		t.Errorf("releases of what carries %v: %q, want %q", labels, got, want)
	}
}

func (t trial) equal(what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// page is what a backend answers, or "".
func page(backend string) string {
	resp, err := http.Get("http://" + backend + "/index.html")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}
