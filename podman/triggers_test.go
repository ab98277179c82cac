package podman

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/internal/registrytest"
	"gitlab.com/review-executor/review-executor/review"
)

func TestTriggers_AreTold(t *testing.T) {
	p := connect(t)
	for name, c := range map[string]struct {
		text, format string
		want         []string
	}{
		"some": {"FROM " + hosttest.Busybox + "\nRUN echo x >/x\nONBUILD COPY . /src\nONBUILD RUN echo \\\n built\n", "docker", []string{"COPY . /src", "RUN echo  built"}},
		"none": {"FROM " + hosttest.Busybox + "\nRUN echo x >/x\n", "docker", nil},
		"OCI":  {"FROM " + hosttest.Busybox + "\nRUN echo x >/x\n", "oci", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "Containerfile")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			host.Podman(t, "build", "--quiet", "--network", "none", "--format", c.format, "--tag", "localhost/test/triggers:1", dir)
			t.Cleanup(func() { host.Podman(t, "rmi", "--force", "localhost/test/triggers:1") })
			image, err := p.Image(t.Context(), "localhost/test/triggers:1")
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Triggers(t.Context(), image.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, append([]string(nil), got...)); diff != "" {
				t.Errorf("triggers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTriggers_OfAPulledImage(t *testing.T) {
	r := registrytest.New(t)
	r.Push(t, "plain:1", registrytest.Image{})
	image, err := pull(t, review.Pull{Image: r.Name("plain:1"), Policy: review.PullAlways}, new(sharedLog))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := connect(t).Triggers(t.Context(), image.ID); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}
