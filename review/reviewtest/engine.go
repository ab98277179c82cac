// Package reviewtest has fakes of what review talks to, all in memory, and the
// suite that says what any container engine must do: Containers.
//
// Fakes fail where a test wants it. See Fault.
package reviewtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Fault is called before every operation of a fake, with the operation's name
// such as "Start". If it returns an error, the operation does nothing and
// returns that. It may do anything else too: look around, or cancel the job.
type Fault func(op string) error

func (f Fault) before(ctx context.Context, op string) error {
	if f != nil {
		if err := f(op); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	return ctx.Err()
}

// Base is the image that every Engine has. Other images are built from it.
const Base = "localhost/base"

// Engine is a container engine in memory, a review.Containers. Containers that
// run httpd really serve their image's files, on loopback.
type Engine struct {
	Fail Fault

	mu         sync.Mutex
	images     map[string]*image               // by ID
	containers map[string]*container           // by ID
	labelled   map[[2]string]map[string]string // labels of networks and volumes, by kind and name
	last       int                             // number in the last ID
}

var _ review.Containers = (*Engine)(nil)

// NewEngine returns an engine that ends with the test.
func NewEngine(t testing.TB) *Engine {
	e := &Engine{
		images:     map[string]*image{"base": {Image: review.Image{ID: "base"}, tag: Base}},
		containers: map[string]*container{},
		labelled:   map[[2]string]map[string]string{},
	}
	t.Cleanup(func() {
		for _, c := range e.containers {
			c.end()
		}
	})
	return e
}

func (e *Engine) newID(kind string) string {
	e.last++
	return fmt.Sprintf("%s%d", kind, e.last)
}

// image finds one by its ID or tag.
func (e *Engine) image(ref string) (*image, error) {
	for _, i := range e.images {
		if i.ID == ref || i.tag == ref {
			return i, nil
		}
	}
	return nil, fmt.Errorf("no such image: %s", ref)
}

func (e *Engine) container(id string) (*container, error) {
	if c, there := e.containers[id]; there {
		return c, nil
	}
	return nil, fmt.Errorf("no such container: %s", id)
}

// Build builds an image from what the fake understands of a Containerfile: see
// image.
func (e *Engine) Build(ctx context.Context, spec review.BuildSpec, log io.Writer) (string, error) {
	if err := e.Fail.before(ctx, "Build"); err != nil {
		return "", err
	}
	files, err := readFiles(spec.Context)
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	built, err := e.build(spec, files, log)
	if err != nil {
		return "", &review.Failure{Kind: review.Build, What: spec.Containerfile + " does not build", Cause: err}
	}
	built.ID = e.newID("image")
	e.images[built.ID] = built
	return built.ID, nil
}

// PruneBuildCache does nothing: the fake's builds leave nothing but their image.
func (e *Engine) PruneBuildCache(ctx context.Context, _ review.Bytes) error {
	return e.Fail.before(ctx, "PruneBuildCache")
}

// Triggers are none: the fake knows no ONBUILD.
func (e *Engine) Triggers(ctx context.Context, _ string) ([]string, error) {
	return nil, e.Fail.before(ctx, "Triggers")
}

// Image describes an image, by its ID or tag.
func (e *Engine) Image(ctx context.Context, ref string) (review.Image, error) {
	if err := e.Fail.before(ctx, "Image"); err != nil {
		return review.Image{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, err := e.image(ref)
	if err != nil {
		return review.Image{}, err
	}
	return i.Image, nil
}

// Pull describes an image that is there, for review.Request.
func (e *Engine) Pull(ctx context.Context, name string, _ io.Writer) (review.Image, error) {
	if err := e.Fail.before(ctx, "Pull"); err != nil {
		return review.Image{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, err := e.image(name)
	if err != nil {
		return review.Image{}, &review.Failure{Kind: review.Build, What: "image " + name + " cannot be pulled", Cause: err}
	}
	return i.Image, nil
}

// EnsureNetwork makes the network unless it is there.
func (e *Engine) EnsureNetwork(ctx context.Context, name string, labels map[string]string) error {
	return e.ensure(ctx, "EnsureNetwork", "network", name, labels)
}

// CreateVolume makes the volume unless it is there.
func (e *Engine) CreateVolume(ctx context.Context, name string, labels map[string]string, _ review.Bytes) error {
	return e.ensure(ctx, "CreateVolume", "volume", name, labels)
}

func (e *Engine) ensure(ctx context.Context, op, kind, name string, labels map[string]string) error {
	if err := e.Fail.before(ctx, op); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if key := [2]string{kind, name}; e.labelled[key] == nil {
		e.labelled[key] = maps.Clone(labels)
	}
	return nil
}

// Values returns the distinct values of the label key among the containers and
// images that carry all of the labels.
func (e *Engine) Values(ctx context.Context, labels map[string]string, key string) ([]string, error) {
	if err := e.Fail.before(ctx, "Values"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	values := map[string]bool{}
	for _, c := range e.containers {
		values[c.Labels[key]] = values[c.Labels[key]] || carries(c.Labels, labels)
	}
	for _, i := range e.images {
		values[i.labels[key]] = values[i.labels[key]] || carries(i.labels, labels)
	}
	maps.DeleteFunc(values, func(value string, carried bool) bool { return value == "" || !carried })
	return slices.Sorted(maps.Keys(values)), nil
}

// Remove removes everything that carries all of the labels.
func (e *Engine) Remove(ctx context.Context, labels map[string]string, _ time.Duration) error {
	if err := e.Fail.before(ctx, "Remove"); err != nil {
		return err
	}
	if len(labels) == 0 {
		return errors.New("remove: no labels")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.containers, func(_ string, c *container) bool {
		if !carries(c.Labels, labels) {
			return false
		}
		c.end()
		return true
	})
	maps.DeleteFunc(e.labelled, func(_ [2]string, l map[string]string) bool { return carries(l, labels) })
	maps.DeleteFunc(e.images, func(_ string, i *image) bool { return carries(i.labels, labels) })
	return nil
}

func carries(object, labels map[string]string) bool {
	for key, value := range labels {
		if object[key] != value {
			return false
		}
	}
	return true
}

// Inventory lists what there is: "container NAME", "image TAG", "network NAME"
// and "volume NAME", sorted and without Base.
func (e *Engine) Inventory() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, c := range e.containers {
		all = append(all, "container "+c.Name)
	}
	for _, i := range e.images {
		if i.tag != Base {
			all = append(all, "image "+i.tag)
		}
	}
	for key := range e.labelled {
		all = append(all, key[0]+" "+key[1])
	}
	slices.Sort(all)
	return all
}
