package reviewtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// followed is what Follow passes on, in one text.
func (t trial) followed(id string, query review.LogQuery) (text string, pieces []review.LogPiece) {
	t.Helper()
	err := t.Follow(t.Context(), id, query, func(p review.LogPiece) error {
		text += p.Text
		pieces = append(pieces, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text, pieces
}

func logIsFollowedToTheEnd(t trial) {
	id := t.start("r1", "echo one; echo two; exec sleep 1000")
	t.eventually("it has written", func() bool {
		lines, err := t.Logs(t.Context(), id, 9)
		return err == nil && len(lines) == 2
	})
	got := make(chan string, 9)
	done := make(chan error)
	go func() {
		done <- t.Follow(t.Context(), id, review.LogQuery{Lines: -1, Follow: true}, func(p review.LogPiece) error {
			got <- p.Text
			return nil
		})
	}()
	t.equal("log", []string{"one\n", "two\n"}, []string{<-got, <-got})
	t.Crash(t, id)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := t.Follow(t.Context(), "missing", review.LogQuery{}, func(review.LogPiece) error { return nil }); err == nil {
		t.Error("a missing container has a log")
	}

	// Whoever reads may have enough of it.
	id = t.start("r2", "echo one; echo two; exec sleep 1000")
	enough := errors.New("enough")
	if err := t.Follow(t.Context(), id, review.LogQuery{Lines: -1, Follow: true}, func(review.LogPiece) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("it says %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := t.Follow(ctx, id, review.LogQuery{Lines: -1, Follow: true}, func(review.LogPiece) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it says %v", err)
	}
}

func logIsReadFromSomewhere(t trial) {
	before := time.Now().Add(-time.Second)
	id := t.start("r1", "echo one; echo two; echo three; exit 0")
	t.eventually("it ended", func() bool { return !t.state(id).Running })
	all, pieces := t.followed(id, review.LogQuery{Lines: -1})
	t.equal("log", "one\ntwo\nthree\n", all)
	for _, p := range pieces {
		if p.Time.Before(before.Truncate(time.Second)) || p.Time.After(time.Now()) {
			t.Errorf("%q was written at %s", p.Text, p.Time)
		}
	}
	for _, c := range []struct {
		query review.LogQuery
		want  string
	}{
		{review.LogQuery{Lines: 2}, "two\nthree\n"},
		{review.LogQuery{Lines: 0}, ""},
		{review.LogQuery{Lines: -1, Since: before, Follow: true}, "one\ntwo\nthree\n"},
		{review.LogQuery{Lines: -1, Since: time.Now().Add(time.Hour)}, ""},
	} {
		if got, _ := t.followed(id, c.query); got != c.want {
			t.Errorf("%+v: %q, want %q", c.query, got, c.want)
		}
	}
	if got, _ := t.followed(id, review.LogQuery{Lines: -1, Since: pieces[2].Time}); !strings.HasSuffix(got, "three\n") {
		t.Errorf("since the last line: %q", got)
	}
}

func consumptionIsOfWhatRuns(t trial) {
	id := t.start("r1", "exec sleep 1000")
	ended := t.start("r2", "exit 0")
	t.eventually("it ended", func() bool { return !t.state(ended).Running })
	all, err := t.Consumption(t.Context(), t.labels(""))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%+v, want that of one container", all)
	}
	one := all[0]
	if one.ID != id || one.Labels[review.LabelRelease] != "r1" || one.CPU <= 0 || one.Memory == 0 || one.Limit == 0 || one.Started.IsZero() {
		t.Errorf("it consumes %+v", one)
	}
	if all, err := t.Consumption(t.Context(), map[string]string{review.LabelApp: "somebody-else"}); err != nil || len(all) > 0 {
		t.Errorf("nobody's is %+v (%v)", all, err)
	}
}

// stored is the one object of that kind.
func (t trial) stored(kind string) review.Stored {
	t.Helper()
	all, err := t.Stored(t.Context(), t.labels("r1"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s review.Stored) bool { return s.Kind == kind })
	if i < 0 {
		t.Fatalf("no %s in %+v", kind, all)
	}
	return all[i]
}

func storedTellsSizes(t trial) {
	id := t.start("r1", "exec sleep 1000")
	if _, err := t.CreateVolume(t.Context(), t.name, t.labels("r1"), 0); err != nil {
		t.Fatal(err)
	}
	image := t.stored("image")
	if image.Size == 0 || image.Name != t.tag("r1") || image.ID == "" {
		t.Errorf("the image is %+v", image)
	}
	if c := t.stored("container"); c.ID != id || !c.Running {
		t.Errorf("the container is %+v", c)
	}
	v := t.stored("volume")
	if v.Name != t.name || v.Created.Before(time.Now().Add(-time.Hour)) {
		t.Errorf("the volume is %+v", v)
	}
	if all, err := t.Stored(t.Context(), map[string]string{review.LabelApp: "somebody-else"}); err != nil || len(all) > 0 {
		t.Errorf("of nobody there is %+v (%v)", all, err)
	}
}

func discardLeavesWhatIsUsed(t trial) {
	if _, err := t.CreateVolume(t.Context(), t.name, t.labels("r1"), 0); err != nil {
		t.Fatal(err)
	}
	t.start("r1", "exec sleep 1000", func(c *review.Container) { c.Volumes = map[string]string{t.name: "/data"} })
	image, volume, container := t.stored("image"), t.stored("volume"), t.stored("container")
	discard := func(s review.Stored, want bool) {
		t.Helper()
		if gone, err := t.Discard(t.Context(), s); err != nil || gone != want {
			t.Errorf("%s %s: it is %t that it went (%v)", s.Kind, s.Name, gone, err)
		}
	}
	discard(image, false)
	discard(volume, false)
	t.has(true, "image "+image.Name, "volume "+volume.Name, "container "+container.Name)
	discard(container, true)
	discard(image, true)
	discard(volume, true)
	t.has(false, "image "+image.Name, "volume "+volume.Name, "container "+strings.TrimSpace(container.Name))
	discard(container, true) // what is gone is gone
	discard(image, true)
	discard(volume, true)
}
