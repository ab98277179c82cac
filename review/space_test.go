package review_test

import (
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// TestDeploy_ThatWouldTakeTheLastOfTheHostIsRefused: what serves goes on, and the
// refusal names who holds most.
func TestDeploy_ThatWouldTakeTheLastOfTheHostIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		left review.Space
		want []string
	}{
		"disk":   {review.Space{Disk: 999 << 20, Memory: -1}, []string{"the host's disk has 999MiB left, and 1.0GiB of it stay free", "login of group/shop, ", "limits.disk_reserve"}},
		"memory": {review.Space{Disk: -1, Memory: 200 << 20}, []string{"the host has 200MiB of memory left, and 256MiB of it stay free", "login of group/shop, 1.0MiB, deployed", "limits.memory_reserve"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Limits.DiskReserve, w.Limits.MemoryReserve = 1<<30, 256<<20
			w.deployed(1, "one")
			w.engine.Left = func() review.Space { return c.left }
			_, err := w.Deploy(t.Context(), w.job(2, site("two")))
			fails(t, err, review.System, append(c.want, "the version of 1111111 is still serving")...)
			w.engine.Left = nil
			w.isBack()
		})
	}
}

// TestDeploy_MakesRoomOnTheDiskFirst of what nobody needs.
func TestDeploy_MakesRoomOnTheDiskFirst(t *testing.T) {
	w := newWorld(t)
	w.Limits.DiskReserve = 1 << 30
	left := w.image("nobody", "8888888-8")
	w.engine.Left = func() review.Space {
		if slices.Contains(w.engine.Inventory(), left) {
			return review.Space{Disk: 999 << 20, Memory: -1}
		}
		return review.Space{Disk: 1 << 30, Memory: -1}
	}
	log := w.deployLog(w.job(1, site("one")))
	if !strings.Contains(log, "The disk has 999MiB left; removing") || !strings.Contains(log, "Removed image localhost/review/nobody:8888888-8") || !strings.Contains(log, "Ready: ") {
		t.Error(log)
	}
	w.serves("login", "one")
}

func TestDeploy_UnknownSpaceRefusesNothing(t *testing.T) {
	w := newWorld(t)
	w.Limits.DiskReserve, w.Limits.MemoryReserve = 1<<30, 256<<20
	w.engine.Left = func() review.Space { return review.Space{Disk: -1, Memory: -1} }
	w.deployed(1, "one")
}
