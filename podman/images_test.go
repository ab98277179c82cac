package podman

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

func TestTCPPorts(t *testing.T) {
	got := tcpPorts(map[string]struct{}{"9000/tcp": {}, "53/udp": {}, "80": {}, "443/tcp": {}, "70000/tcp": {}, "web": {}, "": {}})
	if diff := cmp.Diff([]uint16{80, 443, 9000}, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]platform{
		"":               {"linux", runtime.GOARCH, ""},
		"linux/arm64":    {"linux", "arm64", ""},
		"linux/x86_64":   {"linux", "amd64", ""},
		"linux/arm/v7":   {"linux", "arm", "v7"},
		"arm64":          {},
		"linux/":         {},
		"linux/arm/v7/x": {},
	} {
		got, err := parsePlatform(text)
		if got != want || (err != nil) != (want == platform{}) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
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
