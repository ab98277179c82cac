package reviewtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// container is one that was started, and perhaps has ended.
type container struct {
	review.Container
	image   *image
	state   review.State
	started time.Time
	log     []string
	server  *httptest.Server // nil: nothing is published
	serves  bool             // it runs httpd
	answers http.HandlerFunc // nil: with the image's files
}

// end lets go of the container's port.
func (c *container) end() {
	defer func() { c.server = nil }()
	if c.server != nil {
		c.server.CloseClientConnections()
		c.server.Close()
	}
}

// Start runs the command at once, up to where it ends or stays.
func (e *Engine) Start(ctx context.Context, spec review.Container) (string, error) {
	if err := e.Fail.before(ctx, "Start"); err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id, _, err := e.start(spec)
	return id, err
}

func (e *Engine) start(spec review.Container) (string, *container, error) {
	c := &container{Container: spec, answers: e.Answers}
	if err := e.create(c); err != nil {
		return "", nil, fmt.Errorf("create container %s: %w", spec.Name, err)
	}
	if err := c.run(); err != nil {
		return "", nil, err
	}
	id := e.newID("container")
	e.containers[id] = c
	return id, c, nil
}

// Resume starts a container again that has ended.
func (e *Engine) Resume(ctx context.Context, id string) error {
	if err := e.Fail.before(ctx, "Resume"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.container(id)
	if err != nil || c.state.Running {
		return err
	}
	address, err := netip.ParseAddrPort(c.state.Backend)
	if err == nil {
		c.HostPort = address.Port() // as it was published before
	}
	return c.run()
}

// Stop ends a container.
func (e *Engine) Stop(ctx context.Context, id string, _ time.Duration) error {
	if err := e.Fail.before(ctx, "Stop"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, err := e.container(id); err == nil {
		c.end()
		c.state.Running = false
	}
	return nil
}

// Loop makes a container one that has ended and was started again, and so on: it runs just
// now, and does not answer.
func (e *Engine) Loop(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.container(name)
	if err == nil {
		c.end()
		c.state.Running, c.state.Restarts = true, 7
	}
	return err
}

// Run runs a container to its end. One that stays has ended with code 0.
func (e *Engine) Run(ctx context.Context, spec review.Container, log io.Writer) (int, error) {
	if err := e.Fail.before(ctx, "Run"); err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, c, err := e.start(spec)
	if err != nil {
		return 0, err
	}
	for _, line := range c.log {
		fmt.Fprintln(log, line)
	}
	c.state.Running = false
	return c.state.ExitCode, nil
}

// Listens tells whether the container runs httpd.
func (e *Engine) Listens(ctx context.Context, id string, _ []uint16) (bool, error) {
	c, err := e.ask(ctx, "Listens", id)
	return c.state.Running && c.serves, err
}

func (e *Engine) create(c *container) (err error) {
	for _, other := range e.containers {
		if other.Name == c.Name {
			return errors.New("the name is in use")
		}
	}
	if key := [2]string{"network", c.Network}; c.Network != "" && e.labelled[key] == nil {
		return fmt.Errorf("no such network: %s", c.Network)
	}
	for name := range c.Volumes {
		if key := [2]string{"volume", name}; e.labelled[key] == nil {
			e.labelled[key] = map[string]string{}
		}
	}
	c.image, err = e.image(c.Image)
	return err
}

func (c *container) run() error {
	command := c.Command
	if command == nil {
		command = c.image.command
	}
	text := strings.Join(command, " ")
	if len(command) == 3 && command[0] == "sh" && command[1] == "-c" {
		text = command[2]
	} else if _, code, _ := script(text); code == 127 {
		return &review.Failure{Kind: review.Build, What: fmt.Sprintf("image %s cannot start its command", c.Image), Cause: fmt.Errorf("no such file: %v", command)}
	}
	stays := ""
	c.log, c.state.ExitCode, stays = script(text)
	c.state.Running, c.state.Restarts = stays != "", 0
	c.started = time.Now()
	if c.Restart && !c.state.Running {
		c.state.Restarts = 1
	}
	c.serves = stays == "httpd"
	return c.publish()
}

// publish gives the container an address, which answers only if it serves.
func (c *container) publish() error {
	if c.Port == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.HostPort))
	if err != nil {
		return fmt.Errorf("publish port %d: %w", c.HostPort, review.ErrPortTaken)
	}
	answers := c.answers
	if answers == nil {
		answers = http.FileServerFS(c.image.files).ServeHTTP
	}
	c.server = httptest.NewUnstartedServer(answers)
	_ = c.server.Listener.Close()
	c.server.Listener = listener
	c.server.Start()
	c.state.Backend = listener.Addr().String()
	if !c.serves {
		c.end()
	}
	return nil
}

// State tells how the container does.
func (e *Engine) State(ctx context.Context, id string) (review.State, error) {
	c, err := e.ask(ctx, "State", id)
	if err != nil {
		return review.State{}, err
	}
	c.state.Labels = c.Labels
	c.state.IDs = cmp.Or(c.IDs, "of "+c.Name)
	return c.state, nil
}

// CheckHealth runs the image's HEALTHCHECK.
func (e *Engine) CheckHealth(ctx context.Context, id string) (healthy bool, output string, err error) {
	c, err := e.ask(ctx, "CheckHealth", id)
	if err != nil {
		return false, "", err
	}
	if !c.image.HealthCheck {
		return false, "", fmt.Errorf("container %s has no health check", id)
	}
	out, code, _ := script(c.image.health)
	return code == 0, strings.Join(out, "\n"), nil
}

// Logs returns the last lines that the container wrote.
func (e *Engine) Logs(ctx context.Context, id string, lines int) ([]string, error) {
	c, err := e.ask(ctx, "Logs", id)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.log[max(0, len(c.log)-lines):]), nil
}

// ask returns a container as it is now.
func (e *Engine) ask(ctx context.Context, op, id string) (container, error) {
	if err := e.Fail.before(ctx, op); err != nil {
		return container{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.container(id)
	if err != nil {
		return container{}, err
	}
	return *c, nil
}

// Running returns what was asked of the containers that are there, by name.
func (e *Engine) Running() []review.Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []review.Container
	for _, c := range e.containers {
		all = append(all, c.Container)
	}
	slices.SortFunc(all, func(a, b review.Container) int { return strings.Compare(a.Name, b.Name) })
	return all
}
