package podman

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/containers/podman/v5/libpod/define"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"
	nettypes "go.podman.io/common/libnetwork/types"
	"go.podman.io/storage/pkg/idtools"
	storagetypes "go.podman.io/storage/types"

	"gitlab.com/review-executor/review-executor/review"
)

// Create makes a container that is not running yet and returns its ID.
func (p *Podman) Create(ctx context.Context, spec review.Container) (string, error) {
	s := generate(spec)
	if spec.Network == "" && p.OwnNetworks() {
		s.NetNS = specgen.Namespace{NSMode: specgen.Private}
	}
	switch {
	case spec.IDs != "":
		ids, err := parseIDs(spec.IDs)
		if err != nil {
			return "", err
		}
		mapIDs(s, ids)
	case spec.SameIDs != "":
		ids, err := p.ids(ctx, spec.SameIDs)
		if err != nil {
			return "", err
		}
		mapIDs(s, ids)
	case spec.Isolation.UserNamespace:
		s.UserNS = specgen.Namespace{NSMode: specgen.Auto, Value: "size=65536"}
		s.IDMappings = &storagetypes.IDMappingOptions{AutoUserNs: true, AutoUserNsOpts: storagetypes.AutoUserNsOptions{Size: idRange}}
	}
	created, err := containers.CreateWithSpec(p.call(ctx), s, nil)
	if err != nil && tooFewIDs(err) {
		shareIDs(s)
		created, err = containers.CreateWithSpec(p.call(ctx), s, nil)
	}
	if err != nil {
		return "", p.startFailed(spec, err)
	}
	return created.ID, nil
}

// OwnNetworks tells whether a container without a network is in one of its own,
// which reaches neither another container nor the host's loopback. Without root
// Podman has slirp4netns or pasta for it, which take half the time of a bridge.
func (p *Podman) OwnNetworks() bool { return os.Getuid() != 0 }

func generate(spec review.Container) *specgen.SpecGenerator {
	s := specgen.NewSpecGenerator(spec.Image, false)
	s.Name = spec.Name
	s.Hostname = spec.Hostname
	s.Entrypoint, s.Command = spec.Entrypoint, spec.Command
	if spec.Shell {
		s.Entrypoint = append([]string{}, spec.Command...)
		s.Command = []string{}
	}
	s.Stdin = &spec.Shell
	s.User = spec.User
	s.Env = spec.Env
	s.HTTPProxy = new(bool) // Podman's own are none of a job's business
	s.Labels = spec.Labels
	if spec.Network != "" {
		s.NetNS = specgen.Namespace{NSMode: specgen.Bridge}
		s.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {Aliases: spec.Aliases}}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Hosts)) {
		s.HostAdd = append(s.HostAdd, name+":"+spec.Hosts[name])
	}
	for name, dest := range spec.Volumes {
		volume := &specgen.NamedVolume{Name: name, Dest: dest}
		if slices.Contains(spec.Chown, name) {
			volume.Options = []string{"U"}
		}
		s.Volumes = append(s.Volumes, volume)
	}
	if spec.Port != 0 {
		s.PortMappings = []nettypes.PortMapping{{HostIP: "127.0.0.1", HostPort: spec.HostPort, ContainerPort: spec.Port, Protocol: "tcp"}}
	}
	if spec.Restart {
		s.RestartPolicy = "always"
		if spec.Supervised {
			s.RestartPolicy = "unless-stopped" // which podman-restart.service lets be
		}
	}
	if spec.StopGrace != 0 { // Podman tells systemd, which ends containers when the host shuts down
		seconds := uint(math.Ceil(spec.StopGrace.Seconds()))
		s.StopTimeout = &seconds
	}
	isolate(s, spec.Isolation)
	return s
}

func isolate(s *specgen.SpecGenerator, isolation review.Isolation) {
	if isolation.Capabilities != nil {
		s.CapDrop = []string{"ALL"}
		s.CapAdd = isolation.Capabilities
	}
	s.NoNewPrivileges = &isolation.NoNewPrivileges
	s.ResourceLimits = limits(isolation, controllers())
}

// limits asks for those that the host can enforce; Podman fails to start a
// container with any other.
func limits(isolation review.Isolation, can map[string]bool) *specs.LinuxResources {
	var resources specs.LinuxResources
	if memory := int64(isolation.Memory); memory != 0 && can["memory"] {
		resources.Memory = &specs.LinuxMemory{Limit: &memory, Swap: &memory}
	}
	if isolation.CPUs != 0 && can["cpu"] {
		period := uint64(100000)
		quota := int64(isolation.CPUs * float64(period))
		resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	if isolation.PIDs != 0 && can["pids"] {
		resources.Pids = &specs.LinuxPids{Limit: isolation.PIDs}
	}
	return &resources
}

// idRange is how many user IDs a container gets: images have files of "nobody",
// 65534.
const idRange = 65536

func tooFewIDs(err error) bool {
	return strings.Contains(err.Error(), "enough available IDs") || strings.Contains(err.Error(), "enough unused IDs")
}

// shareIDs gives a container a range that others may have too, but whose root is
// not Podman's user.
func shareIDs(s *specgen.SpecGenerator) {
	if os.Getuid() != 0 {
		s.UserNS = specgen.Namespace{NSMode: specgen.NoMap}
		s.IDMappings = nil
		return
	}
	// Root may map any IDs. These belong to nobody: https://systemd.io/UIDS-GIDS/
	const firstID, ranges = 1879048192, 4096
	hash := fnv.New32a()
	hash.Write([]byte(s.Name))
	mapIDs(s, []idtools.IDMap{{HostID: firstID + int(hash.Sum32()%ranges)*idRange, Size: idRange}})
}

// mapIDs gives a container these IDs, and Podman's own if there are none.
func mapIDs(s *specgen.SpecGenerator, ids []idtools.IDMap) {
	if len(ids) == 0 {
		return
	}
	s.UserNS = specgen.Namespace{NSMode: specgen.Private}
	s.IDMappings = &storagetypes.IDMappingOptions{UIDMap: ids, GIDMap: ids}
}

// ids are those that a container has; none: Podman's own.
func (p *Podman) ids(ctx context.Context, container string) ([]idtools.IDMap, error) {
	data, err := p.inspect(ctx, container)
	if err != nil {
		return nil, err
	}
	ids, err := parseIDs(idsOf(data))
	return ids, p.explain(err, "read the user IDs of container %s", container)
}

// hostIDs are Podman's own, in State.IDs.
const hostIDs = "host"

// idsOf tells a container's user IDs as State does: "0:1000000:65536".
func idsOf(data *define.InspectContainerData) string {
	if data.HostConfig == nil || data.HostConfig.IDMappings == nil || len(data.HostConfig.IDMappings.UIDMap) == 0 {
		return hostIDs
	}
	return strings.Join(data.HostConfig.IDMappings.UIDMap, ",")
}

func parseIDs(text string) ([]idtools.IDMap, error) {
	if text == hostIDs {
		return nil, nil
	}
	ids, err := idtools.ParseIDMap(strings.Split(text, ","), "UID")
	if err != nil {
		return nil, fmt.Errorf("user IDs %s: %w", review.Printable(text, 80), err)
	}
	return ids, nil
}
