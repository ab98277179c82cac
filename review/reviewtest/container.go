package reviewtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// container is one that was started, and perhaps has ended.
type container struct {
	review.Container
	image  *image
	state  review.State
	log    []string
	server *httptest.Server // nil: nothing is published
}

// end lets go of the container's port.
func (c *container) end() {
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
	c := &container{Container: spec}
	if err := e.create(c); err != nil {
		return "", fmt.Errorf("create container %s: %w", spec.Name, err)
	}
	if err := c.run(); err != nil {
		return "", err
	}
	id := e.newID("container")
	e.containers[id] = c
	return id, nil
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
	c.state.Running = stays != ""
	if c.Restart && !c.state.Running {
		c.state.Restarts = 1
	}
	c.publish(stays == "httpd")
	return nil
}

// publish gives the container an address, which answers only if it serves.
func (c *container) publish(serves bool) {
	if c.Port == 0 {
		return
	}
	c.server = httptest.NewServer(http.FileServerFS(c.image.files))
	c.state.Backend = c.server.Listener.Addr().String()
	if !serves {
		c.end()
	}
}

// State tells how the container does.
func (e *Engine) State(ctx context.Context, id string) (review.State, error) {
	c, err := e.ask(ctx, "State", id)
	if err != nil {
		return review.State{}, err
	}
	c.state.Labels = c.Labels
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
