package reviewtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Follow passes on the log of a container.
func (e *Engine) Follow(ctx context.Context, id string, query review.LogQuery, each func(review.LogPiece) error) error {
	c, err := e.ask(ctx, "Follow", id)
	if err != nil {
		return err
	}
	lines := c.log
	if query.Lines >= 0 {
		lines = lines[max(0, len(lines)-query.Lines):]
	}
	for i, line := range lines {
		piece := review.LogPiece{Time: c.started.Add(time.Duration(i)), Text: line + "\n"}
		if piece.Time.Before(query.Since) {
			continue
		}
		if err := each(piece); err != nil {
			return err
		}
	}
	for query.Follow && c.state.Running {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if c, err = e.ask(ctx, "State", id); err != nil {
			return nil //nolint:nilerr // it was removed
		}
	}
	return nil
}

// Consumption is what Consumes says, or a little.
func (e *Engine) Consumption(ctx context.Context, labels map[string]string) ([]review.Consumption, error) {
	if err := e.Fail.before(ctx, "Consumption"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []review.Consumption
	for id, c := range e.containers {
		if !c.state.Running || !carries(c.Labels, labels) {
			continue
		}
		one := review.Consumption{Started: c.started, CPU: time.Millisecond, Memory: 1 << 20, Limit: 1 << 30}
		if e.Consumes != nil {
			one = e.Consumes(c.Container)
		}
		one.ID, one.Name, one.Labels = id, c.Name, c.Labels
		all = append(all, one)
	}
	return all, nil
}

// Space is what Left says; else it is not known.
func (e *Engine) Space(ctx context.Context) (review.Space, error) {
	if err := e.Fail.before(ctx, "Space"); err != nil {
		return review.Space{}, err
	}
	if e.Left != nil {
		return e.Left(), nil
	}
	return review.Space{Disk: -1, Memory: -1}, nil
}

// Stored tells of containers and volumes, which hold nothing, and of images, which
// hold their files.
func (e *Engine) Stored(ctx context.Context, labels map[string]string) ([]review.Stored, error) {
	if err := e.Fail.before(ctx, "Stored"); err != nil {
		return nil, err
	}
	there, err := e.Objects(ctx, labels)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []review.Stored
	for _, o := range there {
		stored := review.Stored{Object: o, Created: e.Made}
		if e.Made.IsZero() {
			stored.Created = time.Now().UTC()
		}
		switch o.Kind {
		case "network":
			continue
		case "container":
			stored.ID = e.idOf(o.Name)
		case "image":
			i, err := e.image(o.Name)
			if err != nil {
				continue
			}
			stored.ID = i.ID
			for _, file := range i.files {
				stored.Size += review.Bytes(len(file.Data))
			}
		}
		all = append(all, stored)
	}
	return all, nil
}

func (e *Engine) idOf(name string) string {
	for id, c := range e.containers {
		if c.Name == name {
			return id
		}
	}
	return ""
}

// BuildCache is what was left with Leave, in that order.
func (e *Engine) BuildCache(ctx context.Context) ([]review.Stored, error) {
	if err := e.Fail.before(ctx, "BuildCache"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.cache), nil
}

// Leave adds what a build has left for later ones.
func (e *Engine) Leave(id string, created time.Time, size review.Bytes) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cache = append(e.cache, review.Stored{Object: review.Object{Kind: "image", Name: id}, ID: id, Created: created, Size: size})
}

// Discard removes one object unless a container uses it.
func (e *Engine) Discard(ctx context.Context, stored review.Stored) (gone bool, err error) {
	if err := e.Fail.before(ctx, "Discard"); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		_, mounted := c.Volumes[stored.Name]
		if (stored.Kind == "volume" && mounted) || (stored.Kind == "image" && c.image.ID == stored.ID) {
			return false, nil
		}
	}
	switch stored.Kind {
	case "container":
		if c := e.containers[stored.ID]; c != nil {
			c.end()
		}
		delete(e.containers, stored.ID)
	case "volume":
		delete(e.labelled, [2]string{"volume", stored.Name})
	case "image":
		e.cache = slices.DeleteFunc(e.cache, func(s review.Stored) bool { return s.ID == stored.ID })
		delete(e.images, stored.ID)
	default:
		return false, fmt.Errorf("what is a %s?", cmp.Or(stored.Kind, "thing without a kind"))
	}
	return true, nil
}
