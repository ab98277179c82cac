package podman

import (
	"context"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// TestRemove_ContainerGetsItsSignalAndGrace has a container write to a volume
// when it is told to stop.
func TestRemove_ContainerGetsItsSignalAndGrace(t *testing.T) {
	p := connect(t)
	app := map[string]string{review.LabelApp: t.Name()}
	volume := map[string]string{review.LabelRole: t.Name()}
	t.Cleanup(func() {
		for _, labels := range []map[string]string{app, volume} {
			if err := p.Remove(context.Background(), labels, 0); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := p.CreateVolume(t.Context(), "test-grace", volume, 0); err != nil {
		t.Fatal(err)
	}
	start := func(name, script string, labels map[string]string) string {
		t.Helper()
		id, err := p.Start(t.Context(), review.Container{
			Name:    name,
			Image:   hosttest.Busybox,
			Command: []string{"sh", "-c", script},
			Volumes: map[string]string{"test-grace": "/data"},
			Labels:  labels,
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	start("test-grace", "trap 'sleep 1; echo ended >/data/ended; exit' TERM; touch /data/ready; while :; do sleep 0.1; done", app)
	reader := start("test-grace-reader", "sleep 1000", volume)
	for {
		if ready, err := p.Has(t.Context(), reader, "/data/ready"); err != nil {
			t.Fatal(err)
		} else if ready {
			break
		}
	}
	if err := p.Remove(t.Context(), app, time.Minute); err != nil {
		t.Fatal(err)
	}
	if stdout, _, _ := execScript(t, p, reader, "cat /data/ended", ""); stdout != "ended\n" {
		t.Error("it was killed before it ended")
	}
}
