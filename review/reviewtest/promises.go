package reviewtest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

func imageCarriesItsLabels(t trial) {
	id, log, err := t.tryBuild("r1", "RUN echo compiling", "EXPOSE 80")
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if !strings.Contains(log, "compiling") {
		t.Errorf("the log lacks what the build printed:\n%s", log)
	}
	image, err := t.Image(t.Context(), t.tag("r1"))
	if err != nil {
		t.Fatal(err)
	}
	t.equal("image of the tag", id, image.ID)
	t.values([]string{"r1"}, t.labels(""))
}

func failedBuildLeavesNoImage(t trial) {
	for name, line := range map[string]string{
		"r1": "RUN echo compiling; exit 7",
		"r2": "COMPILE all",
		"r3": "FROM localhost/missing",
	} {
		_, log, err := t.tryBuild(name, line)
		t.isBuildFailure(err)
		if name == "r1" && !strings.Contains(log, "compiling") {
			t.Errorf("the log lacks what the build printed:\n%s", log)
		}
	}
	t.values(nil, t.labels(""))
	t.has(false, "image "+t.tag("r1"), "image "+t.tag("r2"), "image "+t.tag("r3"))
}

func imageIsDescribed(t trial) {
	for _, c := range []struct {
		release string
		lines   []string
		want    review.Image
	}{
		{"plain", []string{"RUN echo plain"}, review.Image{}},
		{"ports", []string{"EXPOSE 9000 53/udp", "EXPOSE 80 443"}, review.Image{Ports: []uint16{80, 443, 9000}}},
		{"health", []string{"HEALTHCHECK CMD exit 0"}, review.Image{HealthCheck: true}},
	} {
		c.want.ID = t.build(c.release, c.lines...)
		got, err := t.Image(t.Context(), c.want.ID)
		if err != nil {
			t.Fatal(err)
		}
		got.Digest, got.Labels, got.Size = "", nil, 0 // an engine's own
		t.equal(c.release, c.want, got)
	}
	if _, err := t.Image(t.Context(), "localhost/missing"); err == nil {
		t.Error("a missing image was described")
	}
}

func networkIsMadeOnce(t trial) {
	for range 2 {
		if err := t.EnsureNetwork(t.Context(), t.name, t.labels("")); err != nil {
			t.Fatal(err)
		}
	}
	t.has(true, "network "+t.name)
}

func startedContainerServesOnLoopback(t trial) {
	backends := map[string]string{}
	for _, release := range []string{"r1", "r2"} {
		id, backend := t.serving(release)
		if state := t.state(id); !state.Running || state.Restarts != 0 {
			t.Errorf("%+v, want it running", state)
		}
		backends[release] = backend
		t.equal("backend by name", backend, t.state("review-app-"+t.name+"-"+release).Backend)
	}
	for release, backend := range backends {
		if host, _, _ := net.SplitHostPort(backend); host != "127.0.0.1" {
			t.Errorf("backend %s is not on 127.0.0.1", backend)
		}
		t.eventually(release+" serves its own page", func() bool { return page(backend) == "page of "+release })
	}
	t.has(true, "container review-app-"+t.name+"-r1", "container review-app-"+t.name+"-r2")
}

func missingCommandLeavesNoContainer(t trial) {
	spec := review.Container{
		Name:   "review-app-" + t.name,
		Image:  t.build("r1", `CMD ["/no/such/program"]`),
		Labels: map[string]string{review.LabelApp: t.name, review.LabelJob: "4711"},
	}
	for range 2 { // the name is free again
		_, err := t.Start(t.Context(), spec)
		t.isBuildFailure(err)
	}
	t.has(false, "container "+spec.Name)
	t.values(nil, map[string]string{review.LabelApp: t.name, review.LabelJob: "4711"})
}

func endedContainerTellsItsCode(t trial) {
	id := t.start("r1", "echo bye; exit 3")
	t.eventually("it ended", func() bool { return !t.state(id).Running })
	state := t.state(id)
	t.equal("label", t.name, state.Labels[review.LabelApp])
	state.Labels, state.Address, state.IDs = nil, "", ""
	t.equal("state", review.State{ExitCode: 3}, state)
}

func restartsAreCounted(t trial) {
	id := t.start("r1", "echo bye; exit 3", func(c *review.Container) { c.Restart = true })
	t.eventually("it was started again", func() bool { return t.state(id).Restarts > 0 })
	t.equal("exit code", 3, t.state(id).ExitCode)
}

func logsAreTheLastLines(t trial) {
	id := t.start("r1", "echo one; echo two; echo three; echo four; exit 0")
	t.eventually("it ended", func() bool { return !t.state(id).Running })
	for lines, want := range map[int][]string{2: {"three", "four"}, 50: {"one", "two", "three", "four"}} {
		got, err := t.Logs(t.Context(), id, lines)
		if err != nil {
			t.Fatal(err)
		}
		t.equal("log", want, got)
	}
	if _, err := t.Logs(t.Context(), "missing", 2); err == nil {
		t.Error("a missing container has a log")
	}
}

func healthCheckTellsWhy(t trial) {
	for code, output := range map[string]string{"0": "fine", "1": "no database"} {
		image := t.build("r"+code, "HEALTHCHECK CMD echo "+output+"; exit "+code, `CMD ["sleep", "1000"]`)
		id, err := t.Start(t.Context(), review.Container{Name: t.name + code, Image: image, Labels: t.labels("r" + code)})
		if err != nil {
			t.Fatal(err)
		}
		healthy, got, err := t.CheckHealth(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if want := code == "0"; healthy != want || strings.TrimSpace(got) != output {
			t.Errorf("exit %s: healthy %t, %q; want %t, %q", code, healthy, got, want, output)
		}
	}
	if _, _, err := t.CheckHealth(t.Context(), "missing"); err == nil {
		t.Error("the health of a missing container was checked")
	}
}

func cancelledCallsFail(t trial) {
	id := t.start("r1", "sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"State":         func() error { _, err := t.State(ctx, id); return err },
		"Image":         func() error { _, err := t.Image(ctx, t.Base); return err },
		"Logs":          func() error { _, err := t.Logs(ctx, id, 1); return err },
		"Objects":       func() error { _, err := t.Objects(ctx, t.labels("")); return err },
		"Remove":        func() error { return t.Remove(ctx, t.labels(""), 0) },
		"EnsureNetwork": func() error { return t.EnsureNetwork(ctx, t.name, t.labels("")) },
	} {
		if call() == nil {
			t.Errorf("%s succeeded", name)
		}
	}
	if !t.state(id).Running {
		t.Error("the container was removed")
	}
}

func volumeIsMadeOnce(t trial) {
	for _, want := range []bool{true, false} {
		made, err := t.CreateVolume(t.Context(), t.name, t.labels(""), 0)
		if err != nil {
			t.Fatal(err)
		}
		t.equal("made", want, made)
	}
}

// resumedContainerServesWhereItDid: what has ended serves again at its address.
func resumedContainerServesWhereItDid(t trial) {
	id, backend := t.serving("r1")
	t.eventually("it serves", func() bool { return page(backend) != "" })
	listed, err := t.Objects(t.Context(), map[string]string{review.LabelApp: review.AnyValue})
	published := func(o review.Object) bool {
		return o.Kind == "container" && o.Name == "review-app-"+t.name+"-r1" && o.Running && o.Backend == backend
	}
	if err != nil || !slices.ContainsFunc(listed, published) {
		t.Errorf("%+v, %v; want one on %s", listed, err, backend)
	}
	t.Crash(t, id)
	t.eventually("it has ended", func() bool { return !t.state(id).Running })
	if err := t.Resume(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	t.equal("backend", backend, t.state(id).Backend)
	t.eventually("it serves again", func() bool { return page(backend) == "page of r1" })
}

func hostPortIsKeptOrTaken(t trial) {
	_, backend := t.serving("r1")
	_, port, _ := net.SplitHostPort(backend)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	spec := review.Container{Name: "review-app-" + t.name + "-r2", Image: t.build("r2", `CMD ["httpd", "-f", "-p", "8080"]`), Labels: t.labels("r2"), Port: 8080, HostPort: uint16(number)}
	if _, err := t.Start(t.Context(), spec); !errors.Is(err, review.ErrPortTaken) {
		t.Errorf("a port that is in use: %v", err)
	}
	t.has(false, "container "+spec.Name)
	if err := t.Remove(t.Context(), t.labels("r1"), 0); err != nil {
		t.Fatal(err)
	}
	id, err := t.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.equal("backend", backend, t.state(id).Backend)
}

func runTellsOutputAndCode(t trial) {
	image := t.build("r1", `CMD ["sh", "-c", "echo not this; exit 9"]`)
	var log bytes.Buffer
	exit, err := t.Subject.Run(t.Context(), review.Container{Name: t.name, Image: image, Command: []string{"sh", "-c", "echo one; echo two; exit 3"}, Labels: t.labels("r1")}, &log)
	if err != nil {
		t.Fatal(err)
	}
	t.equal("exit code", 3, exit)
	t.equal("output", "one\ntwo\n", log.String())
	t.has(true, "container "+t.name)
}

func listensOnceItServes(t trial) {
	id, _ := t.serving("r1")
	listens := func(port uint16) bool {
		got, err := t.Listens(t.Context(), id, []uint16{port})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.eventually("it listens", func() bool { return listens(8080) })
}

// stoppedContainerStays though it is to start again whenever it ends, until it is
// resumed.
func stoppedContainerStays(t trial) {
	for range 2 { // what is not there is no error
		if err := t.Stop(t.Context(), "review-app-"+t.name+"-r1", 0); err != nil {
			t.Fatal(err)
		}
	}
	id := t.start("r1", "sleep 1000", func(c *review.Container) { c.Restart, c.Supervised = true, true })
	for range 2 { // nor is what has ended
		if err := t.Stop(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
	}
	state := t.state(id)
	t.equal("running", false, state.Running)
	t.has(true, "container review-app-"+t.name+"-r1")
	if err := t.Resume(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	t.equal("running after Resume", true, t.state(id).Running)
}
