package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	companionTimeout = 30 * time.Second // until it listens, as the docker executor waits for a service
	listenPoll       = 50 * time.Millisecond
	companionLines   = 20
)

// networkName is the app's network. "app-" keeps an app called job-4711 out of
// that job's network.
func networkName(app string) string { return "review-app-" + app }

func companionContainer(app string, c Companion) string {
	return fmt.Sprintf("review-app-%s-%s-%s", app, c.Name, c.Since)
}

// startCompanions makes sure that the next release's companions run. One that
// has the same name and was started for another release is replaced.
func (d *deploy) startCompanions(ctx context.Context) error {
	if len(d.next.Companions) == 0 {
		return nil
	}
	there, err := d.Containers.Objects(ctx, map[string]string{LabelApp: d.app.Name, LabelRole: RoleCompanion})
	if err != nil {
		return err
	}
	if err := d.ensureNetwork(ctx); err != nil {
		return err
	}
	for _, c := range d.next.Companions {
		if d.next.ID == d.record.Live.ID && d.yields(c, there) {
			continue
		}
		if err := d.startCompanion(ctx, c, there); err != nil {
			return err
		}
	}
	return nil
}

func (d *deploy) startCompanion(ctx context.Context, c Companion, there []Object) error {
	started := time.Now()
	name := companionContainer(d.app.Name, c)
	i := slices.IndexFunc(there, func(o Object) bool { return o.Name == name })
	switch {
	case i >= 0 && there[i].Running:
		return nil
	case i >= 0:
		if err := d.Containers.Resume(ctx, name); err != nil {
			return companionFailed(c, err)
		}
	default:
		if err := d.replaceCompanion(ctx, c, there); err != nil {
			return companionFailed(c, err)
		}
	}
	problem := WaitListening(ctx, d.Containers, name, c.Ports)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if problem == "" {
		d.log.Step("companion", "%s is ready as %s after %s", c.From, strings.Join(c.Aliases, ", "), Since(started))
		return nil
	}
	// No reason to fail: perhaps nothing needs it.
	d.log.Line("WARNING: companion %s %s; the app goes on without it. Its last lines:", c.From, problem)
	lines, err := d.Containers.Logs(ctx, name, companionLines)
	if err != nil {
		lines = []string{err.Error()}
	}
	for _, line := range lines {
		d.log.Line("  | %s", line)
	}
	return nil
}

// replaceCompanion starts one after it has removed the others of its name: two
// cannot share volumes.
func (d *deploy) replaceCompanion(ctx context.Context, c Companion, there []Object) error {
	ids := ""
	for _, o := range there {
		if o.Labels[LabelCompanion] != c.Name {
			continue
		}
		if state, err := d.Containers.State(ctx, o.Name); err == nil {
			ids = state.IDs // the files on its volumes are theirs
		}
		old := map[string]string{LabelApp: d.app.Name, LabelRole: RoleCompanion, LabelCompanion: c.Name, LabelRelease: o.Labels[LabelRelease]}
		if err := d.Containers.Remove(ctx, old, d.Limits.StopGrace); err != nil {
			return err
		}
	}
	volumes, old, err := d.volumes(ctx, c.Name, c.Volumes)
	if err != nil {
		return err
	}
	spec := Container{
		Name:       companionContainer(d.app.Name, c),
		Image:      c.Image,
		Entrypoint: c.Entrypoint,
		Command:    c.Command,
		User:       c.User,
		Hostname:   c.Name,
		Network:    networkName(d.app.Name),
		Aliases:    c.Aliases,
		Volumes:    volumes,
		IDs:        ids,
		Env:        d.secrets.Companions[c.Name],
		Labels:     d.companionLabels(c),
		Restart:    true,
		Supervised: d.Supervisor != nil,
		StopGrace:  d.Limits.StopGrace,
		Isolation:  d.Isolation,
	}
	if ids == "" {
		spec.Chown = old
	}
	_, err = d.Containers.Start(ctx, spec)
	return err
}

// companionLabels name the release that it was started for, which is not always
// the one that uses it.
func (d *deploy) companionLabels(c Companion) map[string]string {
	labels := d.appLabels(RoleCompanion)
	labels[LabelCompanion], labels[LabelRelease] = c.Name, c.Since
	return labels
}

func companionFailed(c Companion, err error) error {
	f := *AsFailure(err)
	f.What = fmt.Sprintf("companion %s: %s", Printable(c.From, 200), f.What)
	return &f
}

// companionHosts are the companions' addresses by alias: the network's own names
// are known a moment later than a container is started.
func (d *deploy) companionHosts(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	for _, c := range d.next.Companions {
		state, err := d.Containers.State(ctx, companionContainer(d.app.Name, c))
		if err != nil {
			return nil, err
		}
		for _, alias := range c.Aliases {
			if state.Address != "" {
				hosts[alias] = state.Address
			}
		}
	}
	return hosts, nil
}

// listener is what WaitListening needs of a container engine.
type listener interface {
	Listens(ctx context.Context, id string, ports []uint16) (bool, error)
	State(ctx context.Context, id string) (State, error)
}

// WaitListening waits until the container listens on one of the ports, and
// returns why it does not: "has ended with code 1". Without ports there is
// nothing to wait for.
func WaitListening(ctx context.Context, engine listener, id string, ports []uint16) (problem string) {
	if len(ports) == 0 {
		return ""
	}
	waiting, cancel := context.WithTimeout(ctx, companionTimeout)
	defer cancel()
	for {
		listens, err := engine.Listens(waiting, id, ports)
		if listens {
			return ""
		}
		state, stateErr := engine.State(waiting, id)
		switch {
		case waiting.Err() != nil:
		case err != nil && stateErr != nil:
			return fmt.Sprintf("cannot be asked after: %v", err)
		case err == nil && stateErr == nil && (!state.Running || state.Restarts > 0):
			return fmt.Sprintf("has ended with code %d", state.ExitCode)
		}
		select {
		case <-waiting.Done():
			return fmt.Sprintf("does not listen on port %s after %s", JoinPorts(ports), companionTimeout)
		case <-time.After(listenPoll):
		}
	}
}
