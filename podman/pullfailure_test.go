package podman

import (
	"bytes"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func testSource(t *testing.T, image string) source {
	t.Helper()
	s, err := parsePull(review.Pull{Image: image, Username: "runner", Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPullFailed_WhoseTurnItIs in the words of Podman 4.3 and 5, of registries,
// and of Go.
func TestPullFailed_WhoseTurnItIs(t *testing.T) {
	const (
		away   = "hint: not your branch: registry quay.io"
		access = "DOCKER_AUTH_CONFIG"
		name   = `hint: check the name, its registry and its tag`
	)
	for message, hint := range map[string]string{
		"reading manifest 1 in quay.io/a: received unexpected HTTP status: 503 Service Unavailable":                      away,
		"reading manifest 1 in quay.io/a: StatusCode: 429, ":                                                             away,
		"toomanyrequests: You have reached your pull rate limit.":                                                        away,
		"fetching blob: invalid status code from registry 500 (Internal Server Error)":                                   away,
		"pinging container registry quay.io: Get \"https://quay.io/v2/\": dial tcp 1.2.3.4:443: i/o timeout":             away,
		"dial tcp 127.0.0.1:1: connect: connection refused":                                                              away,
		"read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer":                                                away,
		"copying blob: unexpected EOF":                                                                                   away,
		"Get \"https://quay.io/v2/\": EOF":                                                                               away,
		"Get \"https://quay.io/v2/\": net/http: TLS handshake timeout":                                                   away,
		"dial tcp: lookup quay.io on 10.0.0.1:53: server misbehaving":                                                    away,
		"dial tcp: lookup quay.io on 10.0.0.1:53: no such host":                                                          name,
		"reading manifest 1 in quay.io/a: manifest unknown: manifest unknown":                                            name,
		"reading manifest 500 in quay.io/status-500/timeout: name unknown: Unknown name":                                 name,
		"reading manifest 1 in quay.io/a: unauthorized: access to the requested resource is not authorized":              access,
		"reading manifest 1 in quay.io/a: errors:\ndenied: requested access to the resource is denied\nunauthorized: no": access,
		"reading manifest 1 in quay.io/a: StatusCode: 403, ":                                                             access,
		"unable to retrieve auth token: invalid username/password: unauthorized: Invalid Username or Password":           access,
		"Get \"https://quay.io/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority":  "does not trust the certificate of quay.io",
		"choosing an image from manifest list docker://quay.io/a: no image found in manifest list for architecture x":    "choose an image that is made for this platform",
		"writing blob: storing blob to file: write /x: no space left on device":                                          "hint: not your branch: the host's administrator must make room",
		`short-name "a" did not resolve to an alias`:                                                                     "hint: write it with its registry: quay.io/a:1",
	} {
		s := testSource(t, "quay.io/a:1")
		f := review.AsFailure(new(Podman).pullFailed(s, s.refusal(message)))
		if !strings.Contains(f.Text(), hint) {
			t.Errorf("it does not say %q:\n%s", hint, f.Text())
		}
		if system := f.Kind == review.System; system != strings.Contains(hint, "not your branch") {
			t.Errorf("kind %d:\n%s", f.Kind, f.Text())
		}
	}
}

func TestRefusal_KeepsThePasswordToItself(t *testing.T) {
	text := testSource(t, "quay.io/a:1").refusal("sent Basic cnVubmVyOnMzY3JldA== for runner:s3cret").Error()
	if want := "sent Basic [password] for runner:[password]"; text != want {
		t.Errorf("it says %q, want %q", text, want)
	}
}

func TestReadable_BreaksBehindColons(t *testing.T) {
	link := strings.Repeat("word ", 20) + "end"
	for message, want := range map[string]string{
		"short: enough":                        "short: enough",
		"2 errors occurred:\n\t* one\n\t* two": "2 errors occurred:\n* one\n* two",
		link + ": " + link + ": " + link:       link + ":\n" + link + ":\n" + link,
		strings.Repeat("x", 300):               strings.Repeat("x", 300),
	} {
		if got := readable(message); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRead_AnswerThatEndsEarlyIsTriedAgain(t *testing.T) {
	for stream, want := range map[string]string{
		`{"stream":"Trying\n"}{"images":["ab","cd"],"id":"cd"}`: "cd",
		`{"stream":"Trying\n"}`:                                 "",
		`{"stream":"Trying\n"}{"str`:                            "",
		``:                                                      "",
	} {
		var progress bytes.Buffer
		got, err := testSource(t, "quay.io/a:1").read(strings.NewReader(stream), &progress)
		if got != want || transient(err) != (want == "") {
			t.Errorf("%s: %q, %v", stream, got, err)
		}
		if strings.Contains(stream, "Trying") && progress.String() != "Trying\n" {
			t.Errorf("%s: the progress is %q", stream, progress.String())
		}
	}
}
