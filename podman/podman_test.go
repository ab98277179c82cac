package podman

import (
	"context"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

var host *hosttest.Host

func TestMain(m *testing.M) { hosttest.Main(m, &host, func() {}) }

func connect(t testing.TB) *Podman {
	t.Helper()
	p, err := Connect(context.Background(), host.Socket())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPodman_Contract(t *testing.T) {
	p := connect(t)
	reviewtest.Containers(t, reviewtest.Subject{
		Containers: p,
		Crash:      func(t testing.TB, id string) { host.Podman(t, "kill", id) },
		Inventory:  inventory,
		Base:       hosttest.Busybox,
	})
}

// inventory asks the podman command, which shares nothing with what is tested.
func inventory(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, list := range [][]string{
		{"ps", "--all", "--format", "container {{.Names}}"},
		{"images", "--format", "image {{.Repository}}:{{.Tag}}"},
		{"network", "ls", "--format", "network {{.Name}}"},
		{"volume", "ls", "--format", "volume {{.Name}}"},
	} {
		all = append(all, strings.Split(host.Podman(t, list...), "\n")...)
	}
	return all
}

func TestConnect_MissingSocketIsNamed(t *testing.T) {
	_, err := Connect(t.Context(), "unix:///no/such/podman.sock")
	if err == nil {
		t.Fatal("it connected")
	}
	f := review.AsFailure(err)
	for _, text := range []string{"unix:///no/such/podman.sock", "no such file or directory", "hint: not your branch"} {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("it does not say %q:\n%s", text, f.Text())
		}
	}
	if f.Kind != review.System {
		t.Error("it counts as the job's fault")
	}
}
