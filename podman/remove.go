package podman

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/network"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// Remove removes everything that carries all of the labels. See
// review.Containers. It goes on after an error, to leave as little as it can.
func (p *Podman) Remove(ctx context.Context, labels map[string]string, grace time.Duration) error {
	if labelFilter(labels) == nil {
		return errors.New("remove: no labels, which would mean everything")
	}
	return errors.Join(
		p.removeContainers(ctx, labels, grace),
		p.removeNetworks(ctx, labels),
		p.removeVolumes(ctx, labels),
		p.removeImages(ctx, labels),
	)
}

// carries tells whether an object has all of the labels, as review.Containers
// understands them.
func carries(object, labels map[string]string) bool {
	for key, value := range labels {
		if object[key] != value && (value != review.AnyValue || object[key] == "") {
			return false
		}
	}
	return true
}

func (p *Podman) removeContainers(ctx context.Context, labels map[string]string, grace time.Duration) error {
	found, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithFilters(labelFilter(labels)))
	if err != nil {
		return p.explain(err, "list containers")
	}
	found = slices.DeleteFunc(found, func(c types.ListContainer) bool { return !carries(c.Labels, labels) })
	needed := make([]bool, len(found))
	var group errgroup.Group
	group.SetLimit(8)
	for i, container := range found {
		group.Go(func() error {
			err := p.tryRemoveContainer(ctx, container.ID, grace)
			if needed[i] = err != nil && strings.Contains(err.Error(), "dependent containers"); needed[i] {
				return nil
			}
			if err != nil {
				err = p.removeContainer(ctx, container.ID, grace)
			}
			return err
		})
	}
	failed := []error{group.Wait()}
	for i, container := range found {
		if needed[i] { // by others, which are gone now
			failed = append(failed, p.removeContainer(ctx, container.ID, grace))
		}
	}
	return errors.Join(failed...)
}

// removeContainer tries again when the container was ending by itself just
// then, which Podman takes for a failure to stop it.
func (p *Podman) removeContainer(ctx context.Context, id string, grace time.Duration) error {
	return retry(ctx, func() error { return p.tryRemoveContainer(ctx, id, grace) })
}

func (p *Podman) tryRemoveContainer(ctx context.Context, id string, grace time.Duration) error {
	options := new(containers.RemoveOptions).WithForce(true).WithVolumes(true).WithIgnore(true).WithTimeout(uint(grace.Seconds()))
	reports, err := containers.Remove(p.call(ctx), id, options)
	if err != nil && !notFound(err) {
		return p.explain(err, "remove container %s", id)
	}
	for _, report := range reports {
		if report.Err != nil && !notFound(report.Err) {
			return fmt.Errorf("remove container %s: %w", id, report.Err)
		}
	}
	return nil
}

func (p *Podman) removeNetworks(ctx context.Context, labels map[string]string) error {
	found, err := network.List(p.call(ctx), new(network.ListOptions).WithFilters(labelFilter(labels)))
	if err != nil {
		return p.explain(err, "list networks")
	}
	var failed []error
	for _, n := range found {
		if !carries(n.Labels, labels) {
			continue
		}
		if err := p.removeNetwork(ctx, n.Name); err != nil && !notFound(err) {
			failed = append(failed, p.explain(err, "remove network %s", n.Name))
		}
	}
	return errors.Join(failed...)
}

// removeNetwork takes containers off the network that are in it and are somebody
// else's: a job's that has just deployed the app.
func (p *Podman) removeNetwork(ctx context.Context, name string) error {
	_, err := network.Remove(p.call(ctx), name, nil)
	if err == nil || !strings.Contains(err.Error(), "associated containers") {
		return err
	}
	members, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithFilters(map[string][]string{"network": {name}}))
	if err != nil {
		return err
	}
	for _, member := range members {
		err := network.Disconnect(p.call(ctx), name, member.ID, new(network.DisconnectOptions).WithForce(true))
		if err != nil && !notFound(err) {
			return err
		}
	}
	_, err = network.Remove(p.call(ctx), name, nil)
	return err
}

func (p *Podman) removeVolumes(ctx context.Context, labels map[string]string) error {
	found, err := volumes.List(p.call(ctx), new(volumes.ListOptions).WithFilters(labelFilter(labels)))
	if err != nil {
		return p.explain(err, "list volumes")
	}
	var failed []error
	for _, v := range found {
		if !carries(v.Labels, labels) {
			continue
		}
		if err := volumes.Remove(p.call(ctx), v.Name, nil); err != nil && !notFound(err) {
			failed = append(failed, p.explain(err, "remove volume %s", v.Name))
		}
	}
	return errors.Join(failed...)
}

const (
	tries      = 8
	retryAfter = 100 * time.Millisecond
)

// retry calls f until it succeeds, at most a few times.
func retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryAfter):
		}
	}
}
