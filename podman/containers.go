package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containers/podman/v5/libpod/define"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/network"
	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	nettypes "go.podman.io/common/libnetwork/types"

	"gitlab.com/review-executor/review-executor/review"
)

// EnsureNetwork makes a bridge network with name resolution unless it is there.
// Containers in it reach none in another such network.
func (p *Podman) EnsureNetwork(ctx context.Context, name string, labels map[string]string) error {
	there, err := network.Exists(p.call(ctx), name, nil)
	if err != nil || there {
		return p.explain(err, "look for network %s", name)
	}
	_ = retry(ctx, func() error {
		_, err = network.Create(p.call(ctx), &nettypes.Network{
			Name:       name,
			Driver:     "bridge",
			DNSEnabled: true,
			Labels:     labels,
			Options:    map[string]string{nettypes.IsolateOption: "true"},
			// Podman counts its bridges per store, so two stores could share one.
			NetworkInterface: fmt.Sprintf("review%08x", rand.Uint32()), //nolint:gosec // a name, no secret
		})
		if err != nil && strings.Contains(err.Error(), "no such network interface") {
			return err // one that Podman was looking at has just gone with its container
		}
		return nil
	})
	return p.explain(err, "create network %s", name)
}

// CreateVolume makes a volume unless it is there. See review.Containers.
func (p *Podman) CreateVolume(ctx context.Context, name string, labels map[string]string, size review.Bytes) (made bool, err error) {
	if there, err := volumes.Exists(p.call(ctx), name, nil); err != nil || there {
		return false, p.explain(err, "look for volume %s", name)
	}
	options := types.VolumeCreateOptions{Name: name, Labels: labels, IgnoreIfExists: true}
	if size > 0 {
		options.Options = map[string]string{"o": fmt.Sprintf("size=%d", size)}
	}
	_, err = volumes.Create(p.call(ctx), options, nil)
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "quota") {
		return false, fmt.Errorf("create volume %s: %w", name, review.ErrNoQuota)
	}
	if err != nil && strings.Contains(err.Error(), "already exists") {
		return false, nil // Podman 4.3 ignores IgnoreIfExists
	}
	return err == nil, p.explain(err, "create volume %s", name)
}

// Start creates and starts a container. See review.Containers.
func (p *Podman) Start(ctx context.Context, spec review.Container) (string, error) {
	id, err := p.Create(ctx, spec)
	if err != nil {
		return "", err
	}
	return id, p.StartCreated(ctx, id, spec)
}

// StartCreated starts the container that Create made from spec. On an error
// nothing is left of it.
func (p *Podman) StartCreated(ctx context.Context, id string, spec review.Container) error {
	var err error
	_ = retry(ctx, func() error {
		err = containers.Start(p.call(ctx), id, nil)
		if err != nil && strings.Contains(err.Error(), "netavark") {
			return err // it changes the host's firewall, where another Podman may be at work
		}
		return nil
	})
	if err == nil {
		return nil
	}
	removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(p.startFailed(spec, err), p.removeContainer(removing, id, 0))
}

// Resume starts a container again that has ended.
func (p *Podman) Resume(ctx context.Context, id string) error {
	err := retry(ctx, func() error { return containers.Start(p.call(ctx), id, nil) })
	if err != nil && portTaken.MatchString(err.Error()) {
		return fmt.Errorf("start container %s again: %w (%w)", id, review.ErrPortTaken, err)
	}
	return p.explain(err, "start container %s again", id)
}

// Stop ends a container, which stays. See review.Containers.
func (p *Podman) Stop(ctx context.Context, id string, grace time.Duration) error {
	for range tries {
		before, err := p.stop(ctx, id, grace)
		if err != nil || before == nil || before.HostConfig == nil || before.HostConfig.RestartPolicy == nil ||
			slices.Contains([]string{"", "no"}, before.HostConfig.RestartPolicy.Name) {
			return err
		}
		// If it has ended by itself just before, Podman is about to start it again.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * retryAfter):
		}
		if now, err := p.inspect(ctx, id); err == nil && now.RestartCount == before.RestartCount && now.State != nil && !now.State.Running {
			return nil
		}
	}
	return fmt.Errorf("stop container %s: it is started again each time", id)
}

// stop returns how the container is afterwards; nil: it is not there.
func (p *Podman) stop(ctx context.Context, id string, grace time.Duration) (*define.InspectContainerData, error) {
	options := new(containers.StopOptions).WithTimeout(uint(grace.Seconds()))
	err := retry(ctx, func() error { return ignoreMissing(containers.Stop(p.call(ctx), id, options)) })
	if err != nil {
		return nil, p.explain(err, "stop container %s", id)
	}
	data, err := containers.Inspect(p.call(ctx), id, nil)
	return data, p.explain(ignoreMissing(err), "inspect container %s", id)
}

func ignoreMissing(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}

// Run starts a container and follows it to its end. See review.Containers.
func (p *Podman) Run(ctx context.Context, spec review.Container, log io.Writer) (int, error) {
	id, err := p.Start(ctx, spec)
	if err != nil {
		return 0, err
	}
	if err := p.follow(ctx, id, log); err != nil {
		return 0, err
	}
	code, err := containers.Wait(p.call(ctx), id, new(containers.WaitOptions).WithCondition([]define.ContainerStatus{define.ContainerStateExited, define.ContainerStateStopped}))
	return int(code), p.explain(err, "wait for container %s", spec.Name)
}

// imageFaults are the words of Podman and its runtimes for an image that
// cannot run.
var imageFaults = []*regexp.Regexp{
	regexp.MustCompile(`exec.*(executable file|no such file or directory|permission denied|exec format error|is a directory)|invoke a command that was not found`),
	noUser,
	regexp.MustCompile(`no command or entrypoint`),
}

var noUser = regexp.MustCompile(`unable to find (user|group)|no matching entries in (passwd|group) file`)

// startFailed tells an image that cannot run what it should from a host that
// cannot run anything.
func (p *Podman) startFailed(spec review.Container, err error) error {
	for _, theirs := range imageFaults {
		if theirs.MatchString(err.Error()) {
			return &review.Failure{
				Kind:  review.Build,
				What:  fmt.Sprintf("image %s cannot start its command", review.Printable(spec.Image, 100)),
				Cause: err,
				Hint:  "check ENTRYPOINT and CMD of the image, and that it is made for this host's processor; a job's image needs a shell",
			}
		}
	}
	if spec.HostPort != 0 && portTaken.MatchString(err.Error()) {
		return fmt.Errorf("start container %s: %w (%w)", spec.Name, review.ErrPortTaken, err)
	}
	return p.explain(err, "start container %s", spec.Name)
}

var portTaken = regexp.MustCompile(`address already in use|port is already allocated|conflict`)

// Signal sends a signal, such as USR1, to the first process of the container.
func (p *Podman) Signal(ctx context.Context, id, signal string) error {
	err := containers.Kill(p.call(ctx), id, new(containers.KillOptions).WithSignal(signal))
	return p.explain(err, "send %s to container %s", signal, id)
}

// State tells how the container does.
func (p *Podman) State(ctx context.Context, id string) (review.State, error) {
	data, err := p.inspect(ctx, id)
	if err != nil {
		return review.State{}, err
	}
	state := review.State{Restarts: int(data.RestartCount), IDs: idsOf(data)}
	if data.Config != nil {
		state.Labels = data.Config.Labels
	}
	if data.State != nil {
		state.Running = data.State.Running
		state.PID = data.State.Pid
		state.OutOfMemory = data.State.OOMKilled || outOfMemory(data.State.Pid)
		state.ExitCode = int(data.State.ExitCode)
	}
	if state.Restarts > 0 {
		state.ExitCode = p.lastExitCode(ctx, data.ID, state.ExitCode)
	}
	if data.NetworkSettings != nil {
		for _, network := range data.NetworkSettings.Networks {
			state.Address = network.IPAddress
		}
		for _, bindings := range data.NetworkSettings.Ports {
			for _, b := range bindings {
				state.Backend = net.JoinHostPort(b.HostIP, b.HostPort)
			}
		}
	}
	return state, nil
}

// inspect asks again when the container was ending just then, of which Podman
// says "read /proc/27295/cgroup: no such process".
func (p *Podman) inspect(ctx context.Context, id string) (data *define.InspectContainerData, err error) {
	var missing error
	err = retry(ctx, func() (err error) {
		data, err = containers.Inspect(p.call(ctx), id, nil)
		if notFound(err) {
			missing, err = err, nil
		}
		return err
	})
	return data, p.explain(errors.Join(missing, err), "inspect container %s", id)
}

// lastExitCode is how a container ended that has been started again since:
// by then its state tells of the new start. Podman's events remember.
func (p *Podman) lastExitCode(ctx context.Context, id string, otherwise int) int {
	events := make(chan types.Event)
	options := new(system.EventsOptions).WithStream(false).WithFilters(map[string][]string{"container": {id}, "event": {"died"}})
	if err := system.Events(p.call(ctx), events, nil, options); err != nil {
		return otherwise
	}
	code := otherwise
	for event := range events {
		if n, err := strconv.Atoi(event.Actor.Attributes["containerExitCode"]); err == nil {
			code = n
		}
	}
	return code
}

// CheckHealth runs the image's own health check once.
func (p *Podman) CheckHealth(ctx context.Context, id string) (healthy bool, output string, err error) {
	result, err := containers.RunHealthCheck(p.call(ctx), id, nil)
	if err != nil {
		return false, "", p.explain(err, "check health of container %s", id)
	}
	// The answer lacks what the check wrote.
	data, err := containers.Inspect(p.call(ctx), id, nil)
	if err != nil {
		return false, "", p.explain(err, "inspect container %s", id)
	}
	if data.State != nil && data.State.Health != nil && len(data.State.Health.Log) > 0 {
		output = data.State.Health.Log[len(data.State.Health.Log)-1].Output
	}
	return result.Status == "healthy", output, nil
}

// Logs returns the last lines that the container wrote.
func (p *Podman) Logs(ctx context.Context, id string, lines int) ([]string, error) {
	var got []string
	options := new(containers.LogOptions).WithTail(strconv.Itoa(lines))
	err := p.log(ctx, id, options, func(piece string) error {
		got = append(got, strings.TrimRight(piece, "\r\n"))
		return nil
	})
	return got, err
}

// follow passes on what the container writes, until it ends.
func (p *Podman) follow(ctx context.Context, id string, to io.Writer) error {
	last := "\n"
	err := p.log(ctx, id, new(containers.LogOptions).WithFollow(true), func(piece string) error {
		last = piece
		_, err := io.WriteString(to, piece)
		return err
	})
	if !strings.HasSuffix(last, "\n") {
		_, failed := io.WriteString(to, "\n")
		err = errors.Join(err, failed)
	}
	return err
}

// log passes on lines, and long ones in pieces: only the last ends with the
// newline.
func (p *Podman) log(ctx context.Context, id string, options *containers.LogOptions, each func(piece string) error) error {
	var (
		written = make(chan string)
		done    = make(chan error, 1)
		failed  error
	)
	go func() {
		done <- containers.Logs(p.call(ctx), id, options.WithStdout(true).WithStderr(true), written, written)
		close(written)
	}()
	for piece := range written {
		if failed == nil {
			failed = each(piece)
		}
	}
	return errors.Join(p.explain(<-done, "read the log of container %s", id), failed)
}
