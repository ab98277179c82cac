package podman

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/network"
	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"github.com/containers/podman/v5/pkg/specgen"
	nettypes "go.podman.io/common/libnetwork/types"

	"gitlab.com/review-executor/review-executor/review"
)

// EnsureNetwork makes a bridge network with name resolution unless it is there.
func (p *Podman) EnsureNetwork(ctx context.Context, name string, labels map[string]string) error {
	there, err := network.Exists(p.call(ctx), name, nil)
	if err == nil && !there {
		_, err = network.Create(p.call(ctx), &nettypes.Network{
			Name:       name,
			Driver:     "bridge",
			DNSEnabled: true,
			Labels:     labels,
			// Podman counts its bridges per store, so two stores could share one.
			NetworkInterface: fmt.Sprintf("review%08x", rand.Uint32()), //nolint:gosec // a name, no secret
		})
	}
	return p.explain(err, "create network %s", name)
}

// CreateVolume makes a volume. One that is there already is not an error.
func (p *Podman) CreateVolume(ctx context.Context, name string, labels map[string]string) error {
	_, err := volumes.Create(p.call(ctx), types.VolumeCreateOptions{Name: name, Labels: labels, IgnoreIfExists: true}, nil)
	return p.explain(err, "create volume %s", name)
}

// Start creates and starts a container. See review.Containers.
func (p *Podman) Start(ctx context.Context, spec review.Container) (string, error) {
	created, err := containers.CreateWithSpec(p.call(ctx), generate(spec), nil)
	if err != nil {
		return "", p.startFailed(spec, err)
	}
	if err := containers.Start(p.call(ctx), created.ID, nil); err != nil {
		removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return "", errors.Join(p.startFailed(spec, err), p.removeContainer(removing, created.ID, 0))
	}
	return created.ID, nil
}

func generate(spec review.Container) *specgen.SpecGenerator {
	s := specgen.NewSpecGenerator(spec.Image, false)
	s.Name = spec.Name
	s.Hostname = spec.Hostname
	s.Command = spec.Command
	if spec.Shell {
		s.Entrypoint = []string{}
		s.Entrypoint = append(s.Entrypoint, spec.Command...)
		s.Command = []string{}
	}
	s.Stdin = &spec.Shell
	s.Env = spec.Env
	s.Labels = spec.Labels
	if spec.Network != "" {
		s.NetNS = specgen.Namespace{NSMode: specgen.Bridge}
		s.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {Aliases: spec.Aliases}}
	}
	for name, dest := range spec.Volumes {
		s.Volumes = append(s.Volumes, &specgen.NamedVolume{Name: name, Dest: dest})
	}
	if spec.Port != 0 {
		s.PortMappings = []nettypes.PortMapping{{HostIP: "127.0.0.1", ContainerPort: spec.Port, Protocol: "tcp"}}
	}
	if spec.Restart {
		s.RestartPolicy = "always"
	}
	return s
}

// imageFaults are the words of Podman and its runtimes for an image that
// cannot run.
var imageFaults = []*regexp.Regexp{
	regexp.MustCompile(`exec.*(executable file|no such file or directory|permission denied|exec format error|is a directory)`),
	regexp.MustCompile(`unable to find (user|group)|no matching entries in (passwd|group) file`),
	regexp.MustCompile(`no command or entrypoint`),
}

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
	return p.explain(err, "start container %s", spec.Name)
}

// State tells how the container does.
func (p *Podman) State(ctx context.Context, id string) (review.State, error) {
	data, err := containers.Inspect(p.call(ctx), id, nil)
	if err != nil {
		return review.State{}, p.explain(err, "inspect container %s", id)
	}
	state := review.State{Restarts: int(data.RestartCount)}
	if data.State != nil {
		state.Running = data.State.Running
		state.ExitCode = int(data.State.ExitCode)
	}
	if state.Restarts > 0 {
		state.ExitCode = p.lastExitCode(ctx, data.ID, state.ExitCode)
	}
	if data.NetworkSettings != nil {
		for _, bindings := range data.NetworkSettings.Ports {
			for _, b := range bindings {
				state.Backend = net.JoinHostPort(b.HostIP, b.HostPort)
			}
		}
	}
	return state, nil
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
	var (
		got     []string
		written = make(chan string)
		done    = make(chan error, 1)
	)
	go func() {
		options := new(containers.LogOptions).WithStdout(true).WithStderr(true).WithTail(strconv.Itoa(lines))
		done <- containers.Logs(p.call(ctx), id, options, written, written)
		close(written)
	}()
	for line := range written {
		got = append(got, strings.TrimRight(line, "\r\n"))
	}
	return got, p.explain(<-done, "read the log of container %s", id)
}
