package podman

import (
	"bytes"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

func tryBuild(t *testing.T, text string, change func(*review.BuildSpec)) (string, error) {
	t.Helper()
	spec := review.BuildSpec{
		Tag: "localhost/review/try:1", Containerfile: "Containerfile",
		Context: reviewtest.Tar(map[string]string{"Containerfile": text}),
	}
	change(&spec)
	var log bytes.Buffer
	_, err := connect(t).Build(t.Context(), spec, &log)
	t.Cleanup(func() {
		host.Podman(t, "rmi", "--force", "--ignore", spec.Tag)
		host.Podman(t, "image", "prune", "--force")
	})
	return log.String(), err
}

func TestBuild_HeredocsAreForPodmanThatKnowsThem(t *testing.T) {
	p := connect(t)
	log, err := tryBuild(t, "FROM "+hosttest.Busybox+"\nRUN <<EOF\necho one\necho two\nEOF\n", func(spec *review.BuildSpec) { spec.Heredocs = true })
	if p.since(4, 8) {
		if err != nil {
			t.Errorf("%v\n%s", err, log)
		}
		return
	}
	if err == nil {
		t.Fatal("it was built")
	}
	says(t, review.AsFailure(err), review.Build, "which this host's Podman does not know", "hint: ")
	if log != "" {
		t.Errorf("Podman has got it:\n%s", log)
	}
}

func TestBuild_ArgsReachTheBuild(t *testing.T) {
	log, err := tryBuild(t, "FROM "+hosttest.Busybox+"\nARG COLOUR=red\nRUN echo it is $COLOUR\n", func(spec *review.BuildSpec) {
		spec.Args = map[string]string{"COLOUR": "blue"}
	})
	if err != nil || !bytes.Contains([]byte(log), []byte("it is blue")) {
		t.Errorf("%v\n%s", err, log)
	}
}

// TestBuild_AsksNoRegistry builds upon a name that nobody has pulled.
func TestBuild_AsksNoRegistry(t *testing.T) {
	log, err := tryBuild(t, "FROM 127.0.0.1:1/nothing:1\n", func(*review.BuildSpec) {})
	if err == nil {
		t.Fatal(log)
	}
	says(t, review.AsFailure(err), review.Build, "127.0.0.1:1/nothing:1")
}
