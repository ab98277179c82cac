package podman

import (
	"context"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// TestRun_LineThatComesInPiecesIsOne: programs write "Applying 0001_initial..."
// and " OK" a while later, and Podman splits what is long.
func TestRun_LineThatComesInPiecesIsOne(t *testing.T) {
	p := connect(t)
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() {
		if err := p.Remove(context.Background(), labels, 0); err != nil {
			t.Error(err)
		}
	})
	long := strings.Repeat("x", 20000)
	script := `printf 'one...'; sleep 0.3; echo ' OK'; echo; printf '%20000s\n' | tr ' ' x; printf last`
	var log strings.Builder
	exit, err := p.Run(t.Context(), review.Container{Name: "test-log", Image: hosttest.Busybox, Command: []string{"sh", "-c", script}, Labels: labels}, &log)
	if want := "one... OK\n\n" + long + "\nlast\n"; err != nil || exit != 0 || log.String() != want {
		t.Errorf("it wrote (%d, %v):\n%q", exit, err, log.String())
	}
}
