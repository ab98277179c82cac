package podman

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/internal/registrytest"
	"gitlab.com/review-executor/review-executor/review"
)

// sharedLog is a job log that several pulls write to.
type sharedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

var changing = regexp.MustCompile(`\b[0-9.]+(ms|s)\b|section_(start|end):[0-9]+:pull_image_[0-9]+|sha256:[0-9a-f]{64}|127\.0\.0\.1:[0-9]+`)

// String is the log without what differs from run to run.
func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return changing.ReplaceAllStringFunc(strings.NewReplacer("\r", "", "\x1b[0K", "").Replace(l.b.String()), func(text string) string {
		switch {
		case strings.HasPrefix(text, "section_start"):
			return "START "
		case strings.HasPrefix(text, "section_end"):
			return "END\n"
		case strings.HasPrefix(text, "sha256:"):
			return "HASH"
		case strings.HasPrefix(text, "127.0.0.1:"):
			return "REGISTRY"
		}
		return "TIME"
	})
}

// pull pulls and removes the image at the end of the test.
func pull(t *testing.T, pull review.Pull, log *sharedLog) (review.Image, error) {
	t.Helper()
	image, err := connect(t).Pull(t.Context(), pull, log)
	if err == nil && !strings.HasPrefix(pull.Image, "localhost/") {
		t.Cleanup(func() { host.Podman(t, "rmi", "--force", "--ignore", image.ID) })
	}
	return image, err
}

// refused is the failure of a pull that has to fail.
func refused(t *testing.T, p review.Pull, log *sharedLog) *review.Failure {
	t.Helper()
	_, err := pull(t, p, log)
	if err == nil {
		t.Fatalf("%v was pulled", p)
	}
	return review.AsFailure(err)
}

func says(t *testing.T, f *review.Failure, kind review.Kind, texts ...string) {
	t.Helper()
	if f.Kind != kind {
		t.Errorf("kind %d, want %d:\n%s", f.Kind, kind, f.Text())
	}
	for _, text := range texts {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("it does not say %q:\n%s", text, f.Text())
		}
	}
}

func labelled(version string) registrytest.Image {
	return registrytest.Image{Config: registrytest.Config{Labels: map[string]string{"version": version}}}
}

func TestPull_AlwaysGetsAMovedTag(t *testing.T) {
	r := registrytest.New(t)
	for _, version := range []string{"one", "two"} {
		r.Push(t, "moved:1", labelled(version))
		image, err := pull(t, review.Pull{Image: r.Name("moved:1"), Policy: review.PullAlways}, new(sharedLog))
		if err != nil {
			t.Fatal(err)
		}
		if image.Labels["version"] != version {
			t.Errorf("version %q, want %q", image.Labels["version"], version)
		}
	}
}

func TestPull_IfNotPresentAsksOnce(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "once:1", labelled("one"))
	wanted := review.Pull{Image: r.Name("once:1"), Policy: review.PullIfNotPresent}
	if _, err := pull(t, wanted, new(sharedLog)); err != nil {
		t.Fatal(err)
	}
	r.Push(t, "once:1", labelled("two"))
	var log sharedLog
	image, err := pull(t, wanted, &log)
	if err != nil || image.Labels["version"] != "one" || r.Asked("once") != 1 {
		t.Errorf("version %q after %d requests, %v; want the one that is there", image.Labels["version"], r.Asked("once"), err)
	}
	if log.String() != "" {
		t.Errorf("the log says %q", log.String())
	}
}

func TestPull_DescribesTheImage(t *testing.T) {
	r := registrytest.New(t)
	digest := r.Push(t, "described:1", registrytest.Image{Config: registrytest.Config{
		User: "1000", Entrypoint: []string{"/bin/sh", "-c"}, Labels: map[string]string{"a": "b"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Healthcheck: &registrytest.Healthcheck{Test: []string{"CMD-SHELL", "true"}},
	}})
	got, err := pull(t, review.Pull{Image: r.Name("described:1"), Policy: review.PullIfNotPresent}, new(sharedLog))
	if err != nil {
		t.Fatal(err)
	}
	want := review.Image{
		ID: got.ID, Size: got.Size, Digest: digest, Ports: []uint16{8080}, HealthCheck: true,
		User: "1000", Entrypoint: []string{"/bin/sh", "-c"}, Labels: map[string]string{"a": "b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
}

func TestPull_NeverTakesWhatIsThere(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "never:1", labelled("one"))
	f := refused(t, review.Pull{Image: r.Name("never:1"), Policy: review.PullNever}, new(sharedLog))
	says(t, f, review.Build, "never:1 is not on this host, and its pull policy is never", "hint: choose another pull policy")
	if r.Asked("never") != 0 {
		t.Error("the registry was asked")
	}
	if _, err := pull(t, review.Pull{Image: hosttest.Busybox, Policy: review.PullNever}, new(sharedLog)); err != nil {
		t.Error(err)
	}
}

func TestPull_LocalhostHasNoRegistry(t *testing.T) {
	for _, policy := range []string{review.PullAlways, review.PullIfNotPresent, review.PullNever} {
		var log sharedLog
		if _, err := pull(t, review.Pull{Image: hosttest.Busybox, Policy: policy}, &log); err != nil || log.String() != "" {
			t.Errorf("%s: %v, and the log says %q", policy, err, log.String())
		}
		says(t, refused(t, review.Pull{Image: "localhost/no-such-image:1", Policy: policy}, &log), review.Build,
			"ERROR: image localhost/no-such-image:1 is not on this host\n", `hint: no registry has images of localhost/: check its name`)
	}
}

func TestPull_NamesThatAreNone(t *testing.T) {
	id := host.Podman(t, "image", "inspect", "--format", "{{.Id}}", hosttest.Busybox)
	for image, texts := range map[string][]string{
		"no-such-short:3":          {"cannot be pulled", "short-name", "hint: write it with its registry: docker.io/library/no-such-short:3"},
		"user/no-such-short":       {"hint: write it with its registry: docker.io/user/no-such-short:latest"},
		"sha256:" + id:             {"is not the name of an image", "the ID of an image"},
		id:                         {"is not the name of an image", "64-byte hexadecimal"},
		id[:12]:                    {"cannot be pulled", "referred to by ID"},
		"containers-storage:" + id: {"cannot be pulled"},
		"dir:/etc":                 {"is not the name of an image"},
		"oci:etc":                  {"cannot be pulled", "only docker transport"},
		"docker.io/UPPER":          {"is not the name of an image", "must be lowercase"},
		"":                         {`"" is not the name of an image`},
	} {
		for _, policy := range []string{review.PullAlways, review.PullIfNotPresent} {
			says(t, refused(t, review.Pull{Image: image, Policy: policy}, new(sharedLog)), review.Build, texts...)
		}
		f := refused(t, review.Pull{Image: image, Policy: review.PullNever}, new(sharedLog))
		says(t, f, review.Build, "image")
	}
}

// TestPull_ImagesOfOthers that are there for another job: Podman itself would
// give them out by a digest alone, or by the end of a name.
func TestPull_ImagesOfOthers(t *testing.T) {
	r := registrytest.New(t)
	digest := r.Push(t, "secret/tool:1", labelled("one"))
	if _, err := pull(t, review.Pull{Image: r.Name("secret/tool:1"), Policy: review.PullAlways}, new(sharedLog)); err != nil {
		t.Fatal(err)
	}
	if _, err := pull(t, review.Pull{Image: r.Name("secret/tool@" + digest), Policy: review.PullNever}, new(sharedLog)); err != nil {
		t.Error(err)
	}
	for _, image := range []string{"localhost/other@" + digest, r.Name("other@" + digest), "tool:1", "secret/tool:1"} {
		says(t, refused(t, review.Pull{Image: image, Policy: review.PullNever}, new(sharedLog)), review.Build, "is not on this host")
	}
}

func TestPull_Platform(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "both:1", registrytest.Image{Arch: "arm64"}, registrytest.Image{Arch: "amd64"})
	r.Push(t, "arm:1", registrytest.Image{Arch: "arm64"})
	arch := func(platform string) string {
		t.Helper()
		image, err := pull(t, review.Pull{Image: r.Name("both:1"), Policy: review.PullIfNotPresent, Platform: platform}, new(sharedLog))
		if err != nil {
			t.Fatal(err)
		}
		return host.Podman(t, "image", "inspect", "--format", "{{.Architecture}}", image.ID)
	}
	for _, platform := range []string{"linux/arm64", "linux/amd64", "linux/arm64"} {
		if got := "linux/" + arch(platform); got != platform {
			t.Errorf("an image for %s, want %s", got, platform)
		}
	}
	for image, platform := range map[string]string{"both:1": "linux/s390x", "arm:1": "linux/amd64"} {
		f := refused(t, review.Pull{Image: r.Name(image), Policy: review.PullIfNotPresent, Platform: platform}, new(sharedLog))
		says(t, f, review.Build, image+" for "+platform+" is not to be had", "hint: choose")
	}
}
