package podman

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

func TestPull_MissingImageIsTheJobsFault(t *testing.T) {
	var log bytes.Buffer
	// Nothing listens there: it is the registry of nobody.
	err := connect(t).Pull(t.Context(), "localhost/no-such-image:1", &log)
	if err == nil {
		t.Fatal("it was pulled")
	}
	f := review.AsFailure(err)
	if f.Kind != review.Build {
		t.Errorf("%v does not count as the job's fault", err)
	}
	for _, text := range []string{"image localhost/no-such-image:1 cannot be pulled", "connection refused", "hint: "} {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("it does not say %q:\n%s", text, f.Text())
		}
	}
	if want := "Pulling image localhost/no-such-image:1\n"; log.String() != want {
		t.Errorf("the log says %q, want %q", log.String(), want)
	}
}

func TestPull_ImageThatIsThereIsNotAskedFor(t *testing.T) {
	var log bytes.Buffer
	if err := connect(t).Pull(t.Context(), hosttest.Busybox, &log); err != nil {
		t.Fatal(err)
	}
	if log.Len() != 0 {
		t.Errorf("the log says %q", log.String())
	}
}

func TestTCPPorts(t *testing.T) {
	got := tcpPorts(map[string]struct{}{"9000/tcp": {}, "53/udp": {}, "80": {}, "443/tcp": {}, "70000/tcp": {}, "web": {}, "": {}})
	if diff := cmp.Diff([]uint16{80, 443, 9000}, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestBuildFailed_FullDiskIsNotTheJobsFault(t *testing.T) {
	for message, want := range map[string]review.Kind{
		`exit status 7`:                     review.Build,
		`write /x: no space left on device`: review.System,
		`write /x: disk quota exceeded`:     review.System,
	} {
		if got := review.AsFailure(buildFailed(review.BuildSpec{}, message)).Kind; got != want {
			t.Errorf("%s: kind %d, want %d", message, got, want)
		}
	}
}

func TestReadBuild_OutputThatEndsEarlyIsAnError(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for stream, want := range map[string]string{
		`{"stream":"STEP 1\n"}{"stream":"` + id + `\n"}`: id,
		`{"stream":"STEP 1\n"}`:                          "",
		`{"stream":"STEP 1\n"}{"stre`:                    "",
		`{"error":"exit status 7"}`:                      "",
		``:                                               "",
	} {
		var log bytes.Buffer
		got, err := readBuild(strings.NewReader(stream), review.BuildSpec{}, &log)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", stream, got, err, want)
		}
		if strings.Contains(stream, "STEP") && log.String() != "STEP 1\n" {
			t.Errorf("%s: the log says %q", stream, log.String())
		}
	}
}
