package review_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

func (w *world) reclaim(options review.Reclaim) (sum review.Reclaimed, log string) {
	w.t.Helper()
	var b bytes.Buffer
	sum, err := w.Reclaim(context.Background(), options, review.NewLog(&b))
	if err != nil {
		w.t.Fatal(err)
	}
	return sum, b.String()
}

func (w *world) image(app, release string) string {
	w.t.Helper()
	name := "localhost/review/" + app + ":" + release
	image := w.engine.Add("localhost/some/"+app+release, map[string]string{"file": "ten bytes!"})
	if err := w.engine.Tag(w.t.Context(), image.ID, name); err != nil {
		w.t.Fatal(err)
	}
	return "image " + name
}

func TestReclaim_RemovesImagesThatNoRecordNames(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.deployed(2, "two")
	before := w.engine.Inventory()
	w.image("login", "9999999-9")
	w.image("nobody", "8888888-8")
	with := w.engine.Inventory()

	sum, log := w.reclaim(review.Reclaim{DryRun: true})
	if sum.Objects != 2 || sum.Size != 20 || !strings.Contains(log, "Would remove image localhost/review/login:9999999-9, 10B\n") {
		t.Errorf("%+v\n%s", sum, log)
	}
	w.holds(with...)
	if sum, _ := w.reclaim(review.Reclaim{}); sum.Objects != 2 || sum.Size != 20 {
		t.Errorf("%+v", sum)
	}
	w.holds(before...)
	if sum, log := w.reclaim(review.Reclaim{}); sum.Objects != 0 || log != "" {
		t.Errorf("the second: %+v %s", sum, log)
	}
	if _, err := w.rollback(); err != nil {
		t.Error(err)
	}
}

func TestReclaim_LeavesWhatItDoesNotUnderstand(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	w.image("login", "9999999-9")
	image := w.image("nobody", "8888888-8")
	if err := w.engine.EnsureNetwork(t.Context(), "review-app-nobody", map[string]string{review.LabelApp: "nobody", review.LabelRole: review.RoleApp}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.CreateVolume(t.Context(), "data", map[string]string{review.LabelApp: "nobody", review.LabelRole: review.RoleApp}, 0); err != nil {
		t.Fatal(err)
	}
	w.damage("login")
	before := w.engine.Inventory()
	_, log := w.reclaim(review.Reclaim{All: true})
	if !strings.Contains(log, `nobody has containers or volumes of which no record tells: "review-executor sync"`) {
		t.Errorf("it does not tell of %s:\n%s", image, log)
	}
	w.holds(before...)
}

func TestReclaim_LostRecordsAreNotTakenForLeftovers(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	if err := os.RemoveAll(filepath.Join(w.dir, "apps")); err != nil {
		t.Fatal(err)
	}
	before := w.engine.Inventory()
	_, err := w.Reclaim(t.Context(), review.Reclaim{All: true}, review.NewLog(&bytes.Buffer{}))
	fails(t, err, review.System, "no record: login", "nothing was changed")
	w.holds(before...)
}

// TestReclaim_BuildCache has layers of 10 bytes that are 30, 20 and 10 days old.
func TestReclaim_BuildCache(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		options review.Reclaim
		budget  review.Bytes
		want    int
	}{
		"within the budget":        {review.Reclaim{}, 30, 0},
		"beyond the budget":        {review.Reclaim{}, 25, 1},
		"no budget":                {review.Reclaim{}, 0, 0},
		"less is to be kept":       {review.Reclaim{Keep: 10}, 30, 2},
		"old ones":                 {review.Reclaim{Older: 15 * day}, 30, 2},
		"old ones, and one beyond": {review.Reclaim{Older: 25 * day, Keep: 15}, 30, 2},
		"all":                      {review.Reclaim{All: true}, 30, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Limits.BuildCache = c.budget
			for i, id := range []string{"one", "two", "three"} {
				w.engine.Leave(id, time.Now().Add(-time.Duration(30-10*i)*day), 10)
			}
			for _, dryRun := range []bool{true, true, false} {
				c.options.DryRun = dryRun
				if sum, log := w.reclaim(c.options); sum.Objects != c.want || sum.Size != review.Bytes(10*c.want) {
					t.Errorf("dry run %t: %+v, want %d\n%s", dryRun, sum, c.want, log)
				}
			}
			left, _ := w.engine.BuildCache(t.Context())
			if len(left) != 3-c.want || (len(left) > 0 && left[len(left)-1].ID != "three") {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func TestReclaim_CachesOfJobsByTheirLastUse(t *testing.T) {
	w := newWorld(t)
	use := func(volume string, ago time.Duration) {
		if _, err := w.engine.CreateVolume(t.Context(), volume, map[string]string{review.LabelRole: review.RoleCache, review.LabelProject: "group/shop"}, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.Records.UseCache(volume); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-ago)
		if err := os.Chtimes(filepath.Join(w.dir, "caches", volume), at, at); err != nil {
			t.Fatal(err)
		}
	}
	w.engine.Made = time.Now().Add(-1000 * time.Hour)
	use("review-cache-42-protected-0", 900*time.Hour)
	use("review-cache-42-unprotected-0", time.Hour)
	if sum, log := w.reclaim(review.Reclaim{}); sum.Objects != 0 {
		t.Errorf("not asked for: %s", log)
	}
	sum, log := w.reclaim(review.Reclaim{Older: 720 * time.Hour})
	if sum.Objects != 1 || !strings.Contains(log, "Removed cache review-cache-42-protected-0 of group/shop, last used 20") {
		t.Errorf("%+v %s", sum, log)
	}
	w.holds("volume review-cache-42-unprotected-0")
	if files, _ := filepath.Glob(filepath.Join(w.dir, "caches", "*")); len(files) != 1 {
		t.Errorf("noted are %v", files)
	}
	w.reclaim(review.Reclaim{All: true})
	w.holds()
	for _, name := range []string{"../apps/login", ".hidden"} {
		if err := w.Records.UseCache(name); err == nil {
			t.Errorf("%s was noted", name)
		}
	}
}
