package podman

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"go.podman.io/image/v5/docker/reference"

	"gitlab.com/review-executor/review-executor/review"
)

// Pull has the image in the local store when it returns, and describes it.
// Start containers from its ID: another job may move the name.
//
// What Podman says goes to log in one piece when the pull has ended, so that
// several may share a log; for an image that is there already, nothing does.
// An image that cannot be had is a Failure of the kind Build, and a registry
// that does not work is one of the kind System.
func (p *Podman) Pull(ctx context.Context, pull review.Pull, log io.Writer) (review.Image, error) {
	s, err := parsePull(pull)
	if err != nil {
		return review.Image{}, err
	}
	id := ""
	if pull.Policy != review.PullAlways || s.local() {
		if id, err = p.present(ctx, s); err != nil {
			return review.Image{}, err
		}
	}
	if id == "" {
		if pull.Policy == review.PullNever || s.local() {
			return review.Image{}, s.absent()
		}
		if id, err = p.fetch(ctx, s, log); err != nil {
			return review.Image{}, err
		}
	}
	return p.Image(ctx, id)
}

// source is where a pull is to come from, with its words understood.
type source struct {
	review.Pull
	ref      reference.Named // a name without a registry is docker.io's here
	short    bool            // it has none
	platform platform
}

func parsePull(pull review.Pull) (source, error) {
	ref, err := reference.ParseNormalizedNamed(pull.Image)
	if strings.HasPrefix(pull.Image, "sha256:") {
		err = errors.New("this is the ID of an image") // and it would parse
	}
	if err != nil {
		return source{}, badName(pull, err)
	}
	platform, err := parsePlatform(pull.Platform)
	if err != nil {
		return source{}, err
	}
	host, _, _ := strings.Cut(pull.Image, "/")
	return source{
		Pull:     pull,
		ref:      reference.TagNameOnly(ref),
		short:    reference.Domain(ref) == "docker.io" && host != "docker.io" && host != "index.docker.io",
		platform: platform,
	}, nil
}

// local tells that no registry can have the image.
func (s source) local() bool { return reference.Domain(s.ref) == "localhost" }

// present returns the ID of the image in the local store; "": it is not there.
//
// It asks Podman for full names only: of a short one, Podman takes an image
// with such an ID, or with such a name in any registry, and so a job would get
// what it may not pull.
func (p *Podman) present(ctx context.Context, s source) (id string, err error) {
	names := []string{s.ref.String()}
	if s.short {
		names = []string{"localhost/" + reference.FamiliarString(s.ref), s.ref.String()}
	}
	for _, name := range names {
		image, err := images.GetImage(p.call(ctx), name, nil)
		if err == nil && s.accepts(image) {
			return image.ID, nil
		}
		if err != nil && !notFound(err) {
			return "", p.explain(err, "look for image %s", name)
		}
	}
	return "", nil
}

// accepts tells whether an image that Podman found is the one meant. Another
// job may have pulled the name for another platform; and Podman takes a digest
// from any repository.
func (s source) accepts(image *types.ImageInspectReport) bool {
	if d, digested := s.ref.(reference.Digested); digested && !slices.Contains(image.RepoDigests, s.ref.Name()+"@"+d.Digest().String()) {
		return false
	}
	anyPlatform := s.Platform == "" && (s.Policy == review.PullNever || s.local())
	return anyPlatform || s.platform.runs(image)
}
