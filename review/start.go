package review

import (
	"context"
	"errors"
	"fmt"
)

// start runs the image beside the release that serves, on a free port of
// loopback.
func (d *deploy) start(ctx context.Context) error {
	if d.next.Static {
		return nil
	}
	port, err := d.port(d.image)
	if err != nil {
		return err
	}
	d.next.Port = port
	if err := d.startOn(ctx, 0); err != nil {
		return err
	}
	d.log.Step("container", "port %d of %s on %s", port, d.app.Name, d.address)
	return nil
}

// startOn starts the release on a port of loopback; 0: any.
func (d *deploy) startOn(ctx context.Context, hostPort uint16) error {
	spec, err := d.container(ctx, RoleApp)
	if err != nil {
		return err
	}
	spec.Hostname, spec.Aliases = d.app.Name, []string{d.app.Name}
	spec.Command = d.next.Command
	spec.Port, spec.HostPort = d.next.Port, hostPort
	spec.Restart, spec.Supervised, spec.StopGrace = true, d.Supervisor != nil, d.Limits.StopGrace
	d.id, err = d.Containers.Start(ctx, spec)
	if errors.Is(err, ErrPortTaken) && hostPort != 0 {
		spec.HostPort = 0
		d.id, err = d.Containers.Start(ctx, spec)
	}
	if err != nil {
		return err
	}
	if err := d.removeReleaseCommand(ctx); err != nil {
		return err
	}
	state, err := d.Containers.State(ctx, d.id)
	d.address, d.record.IDs = state.Backend, state.IDs
	if !d.next.Socket {
		d.next.Backend = d.address
	}
	return err
}

// removeReleaseCommand removes the container of the release command, which had
// to stay until the app has the user IDs that it had.
func (d *deploy) removeReleaseCommand(ctx context.Context) error {
	if d.next.ReleaseCommand == nil {
		return nil
	}
	return d.Containers.Remove(ctx, map[string]string{LabelApp: d.app.Name, LabelRelease: d.next.ID, LabelRole: RoleRelease}, 0)
}

func containerName(app string, release Release) string {
	return fmt.Sprintf("review-app-%s-%s", app, release.ID)
}

func releaseContainerName(app string, release Release) string {
	return containerName(app, release) + "-release"
}

// container is what the app and its release command have in common.
func (d *deploy) container(ctx context.Context, role string) (Container, error) {
	if err := d.ensureNetwork(ctx); err != nil {
		return Container{}, err
	}
	volumes, old, err := d.volumes(ctx, "", d.next.Volumes)
	if err != nil {
		return Container{}, err
	}
	c := Container{
		Name:      containerName(d.app.Name, d.next),
		Image:     d.next.Image,
		Network:   networkName(d.app.Name),
		Volumes:   volumes,
		Env:       d.env(),
		Labels:    d.labels(role),
		Isolation: d.isolation(),
	}
	if role == RoleRelease {
		c.Name = releaseContainerName(d.app.Name, d.next)
	}
	if c.IDs = d.record.IDs; c.IDs == "" {
		c.Chown = old // of whom they are is not known
	}
	return c, nil
}

func (d *deploy) ensureNetwork(ctx context.Context) error {
	return d.Containers.EnsureNetwork(ctx, networkName(d.app.Name), map[string]string{LabelApp: d.app.Name, LabelRole: RoleApp})
}
