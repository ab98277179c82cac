package podman

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"go.podman.io/image/v5/docker/reference"

	"gitlab.com/review-executor/review-executor/review"
)

// tcpPorts reads EXPOSE: "8080/tcp", or "8080" alone.
func tcpPorts(exposed map[string]struct{}) []uint16 {
	var ports []uint16
	for key := range exposed {
		number, protocol, _ := strings.Cut(key, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && (protocol == "" || protocol == "tcp") {
			ports = append(ports, uint16(port))
		}
	}
	slices.Sort(ports)
	return ports
}

// platform is what an image runs on. An image in the store does not tell its
// variant, so none is compared.
type platform struct{ os, arch, variant string }

// archNames are the kernel's names of processors, by which people call them too.
var archNames = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}

// parsePlatform reads linux/arm64 or linux/arm/v7; "" is the host's.
func parsePlatform(text string) (platform, error) {
	if text == "" {
		return platform{os: "linux", arch: runtime.GOARCH}, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return platform{}, &review.Failure{
			Kind: review.Build,
			What: fmt.Sprintf("%q is no platform", review.Printable(text, 80)),
			Hint: "write it as in linux/arm64",
		}
	}
	wanted := platform{os: parts[0], arch: parts[1]}
	if name, found := archNames[wanted.arch]; found {
		wanted.arch = name
	}
	if len(parts) == 3 {
		wanted.variant = parts[2]
	}
	return wanted, nil
}

// runs tells whether the image is made for the platform, as far as it says so.
func (p platform) runs(image *types.ImageInspectReport) bool {
	return (image.Os == "" || image.Os == p.os) && (image.Architecture == "" || image.Architecture == p.arch)
}

// Tag gives an image another name.
func (p *Podman) Tag(ctx context.Context, id, name string) error {
	i := strings.LastIndex(name, ":")
	return p.explain(images.Tag(p.call(ctx), id, name[i+1:], name[:max(i, 0)], nil), "tag image %s", name)
}

// Untag takes a name off an image. One that was pulled by its digest loses all.
func (p *Podman) Untag(ctx context.Context, name string) error {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fmt.Errorf("untag image %s: %w", name, err)
	}
	full, repo, tag := named.String(), "", ""
	if tagged, is := reference.TagNameOnly(named).(reference.Tagged); is {
		full, repo, tag = reference.TagNameOnly(named).String(), named.Name(), tagged.Tag()
	}
	return p.explain(images.Untag(p.call(ctx), full, tag, repo, nil), "untag image %s", name)
}
