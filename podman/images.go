package podman

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"

	"gitlab.com/review-executor/review-executor/review"
)

// Pull makes sure that the image is in the local store and pulls it if it is
// not. What Podman says of a pull goes to log. An image that cannot be had is
// a Failure of the kind Build.
func (p *Podman) Pull(ctx context.Context, image string, log io.Writer) error {
	there, err := images.Exists(p.call(ctx), image, nil)
	if err != nil {
		return p.explain(err, "look for image %s", image)
	}
	if there {
		return nil
	}
	fmt.Fprintf(log, "Pulling image %s\n", image)
	if _, err := images.Pull(p.call(ctx), image, new(images.PullOptions).WithPolicy("missing").WithQuiet(true)); err != nil {
		return p.pullFailed(image, err)
	}
	return nil
}

func (p *Podman) pullFailed(image string, err error) error {
	err = p.explain(err, "pull image %s", image)
	if f := review.AsFailure(err); f.Hint != "" {
		return err
	}
	if fullDisk(err.Error()) {
		return &review.Failure{What: "the host's disk is full", Cause: err, Hint: "not your branch: the host's administrator must make room"}
	}
	return &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf("image %s cannot be pulled", review.Printable(image, 200)),
		Cause: err,
		Hint:  `check the name under "image:"; Podman needs it with its registry, as in docker.io/library/alpine:3`,
	}
}

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
