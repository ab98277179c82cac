// Package reviewtest has fakes of what review talks to, all in memory, and the
// suite that says what any container engine must do: Containers.
//
// Fakes fail where a test wants it. See Fault.
package reviewtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
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
	// Consumes, if set, tells what a running container uses.
	Consumes func(review.Container) review.Consumption
	// Answers, if set, is what new containers answer instead of their image's files.
	Answers http.HandlerFunc
	// Left, if set, is what the host has left.
	Left func() review.Space
	// Made is when volumes and images are said to have been made; zero: now.
	Made time.Time

	cache      []review.Stored // what builds have left
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
		if i.ID == ref || i.tag == ref || i.own == ref {
			return i, nil
		}
	}
	return nil, fmt.Errorf("no such image: %s", ref)
}

// container finds one by its ID or name.
func (e *Engine) container(id string) (*container, error) {
	for key, c := range e.containers {
		if key == id || c.Name == id {
			return c, nil
		}
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
	_, err := e.ensure(ctx, "EnsureNetwork", "network", name, labels)
	return err
}

// CreateVolume makes the volume unless it is there, and tells whether it has.
func (e *Engine) CreateVolume(ctx context.Context, name string, labels map[string]string, _ review.Bytes) (bool, error) {
	return e.ensure(ctx, "CreateVolume", "volume", name, labels)
}

func (e *Engine) ensure(ctx context.Context, op, kind, name string, labels map[string]string) (made bool, err error) {
	if err := e.Fail.before(ctx, op); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := [2]string{kind, name}
	if made = e.labelled[key] == nil; made {
		e.labelled[key] = maps.Clone(labels)
	}
	return made, nil
}

// Untag takes a name off an image.
func (e *Engine) Untag(ctx context.Context, name string) error {
	if err := e.Fail.before(ctx, "Untag"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, err := e.image(name)
	if err == nil {
		i.tag = ""
	}
	return err
}

// Tag gives an image a release's name.
func (e *Engine) Tag(ctx context.Context, id, name string) error {
	if err := e.Fail.before(ctx, "Tag"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, err := e.image(id)
	if err == nil {
		i.own = name
	}
	return err
}

// Add puts an image into the store, as a pull does, and returns it. It has the
// files and runs the command.
func (e *Engine) Add(name string, files map[string]string, command ...string) review.Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := &image{tag: name, files: fstest.MapFS{}, command: command}
	for file, content := range files {
		i.files[file] = &fstest.MapFile{Data: []byte(content)}
	}
	i.ID = e.newID("image")
	e.images[i.ID] = i
	return i.Image
}

// Objects returns what carries all of the labels.
func (e *Engine) Objects(ctx context.Context, labels map[string]string) ([]review.Object, error) {
	if err := e.Fail.before(ctx, "Objects"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []review.Object
	for _, c := range e.containers {
		all = append(all, review.Object{Kind: "container", Name: c.Name, Running: c.state.Running, Backend: c.state.Backend, Labels: maps.Clone(c.Labels)})
	}
	for key, l := range e.labelled {
		all = append(all, review.Object{Kind: key[0], Name: key[1], Labels: maps.Clone(l)})
	}
	for _, i := range e.images {
		o := review.Object{Kind: "image", Name: i.tag, Labels: maps.Clone(i.labels)}
		if app, release, ours := review.ParseImageName(i.own); ours {
			o.Name, o.Labels = i.own, map[string]string{review.LabelApp: app, review.LabelRelease: release}
		}
		all = append(all, o)
	}
	all = slices.DeleteFunc(all, func(o review.Object) bool { return !carries(o.Labels, labels) })
	slices.SortFunc(all, func(a, b review.Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
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
	maps.DeleteFunc(e.images, func(_ string, i *image) bool { return i.untagged(labels) })
	return nil
}

func carries(object, labels map[string]string) bool {
	for key, value := range labels {
		if object[key] != value && (value != review.AnyValue || object[key] == "") {
			return false
		}
	}
	return true
}

// Crash ends the containers that are there without removing them, as a reboot
// does.
func (e *Engine) Crash() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		c.end()
		c.state.Running = false
	}
}

// Wipe removes all containers and networks, and with all also volumes and images.
func (e *Engine) Wipe(all bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, c := range e.containers {
		c.end()
		delete(e.containers, id)
	}
	maps.DeleteFunc(e.labelled, func(key [2]string, _ map[string]string) bool { return all || key[0] == "network" })
	maps.DeleteFunc(e.images, func(id string, _ *image) bool { return all && id != "base" })
}

// Disconnect lets nothing reach a container any more, though it listens.
func (e *Engine) Disconnect(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, err := e.container(name); err == nil && c.server != nil {
		c.server.Close()
	}
}

// LoseVolumes removes all volumes.
func (e *Engine) LoseVolumes() {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.labelled, func(key [2]string, _ map[string]string) bool { return key[0] == "volume" })
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
		for _, name := range []string{i.tag, i.own} {
			if name != Base && name != "" {
				all = append(all, "image "+name)
			}
		}
	}
	for key := range e.labelled {
		all = append(all, key[0]+" "+key[1])
	}
	slices.Sort(all)
	return all
}
