package podman

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"

	"gitlab.com/review-executor/review-executor/review"
)

// images returns the images that carry all of the labels, one for each name of a
// release. Of an image without a name, its own labels count if it was built here:
// those of a pulled one may be anything. Podman fails to list when anybody removes
// an image meanwhile, so it is asked again.
func (p *Podman) images(ctx context.Context, labels map[string]string) ([]review.Object, error) {
	var found []*types.ImageSummary
	err := retry(ctx, func() (err error) {
		found, err = images.List(p.call(ctx), nil)
		return err
	})
	var all []review.Object
	for _, image := range found {
		for _, o := range releaseImages(image) {
			if carries(o.Labels, labels) {
				all = append(all, o)
			}
		}
	}
	return all, p.explain(err, "list images")
}

func releaseImages(image *types.ImageSummary) []review.Object {
	var all []review.Object
	for _, name := range image.RepoTags {
		if app, release, ours := review.ParseImageName(name); ours {
			all = append(all, review.Object{Kind: "image", Name: name, Labels: map[string]string{review.LabelApp: app, review.LabelRelease: release}})
		}
	}
	if len(all) == 0 && nameless(image) {
		all = append(all, review.Object{Kind: "image", Name: image.ID, Labels: image.Labels})
	}
	return all
}

// nameless tells what a build has left from what somebody has pulled.
func nameless(image *types.ImageSummary) bool {
	return !slices.ContainsFunc(slices.Concat(image.RepoTags, image.RepoDigests), func(name string) bool {
		return name != "<none>:<none>" && !strings.HasPrefix(name, "localhost/review/")
	})
}

// removeImages takes release names off images, which go with the last.
func (p *Podman) removeImages(ctx context.Context, labels map[string]string) error {
	found, err := p.images(ctx, labels)
	if err != nil {
		return err
	}
	var failed []error
	for _, o := range found {
		if err := p.removeImage(ctx, o.Name); err != nil {
			failed = append(failed, p.explain(err, "remove image %s", o.Name))
		}
	}
	return errors.Join(failed...)
}

// removeImage removes an image or its name. One that a job runs in stays, without
// the name, until the job is over.
func (p *Podman) removeImage(ctx context.Context, name string) error {
	_, errs := images.Remove(p.call(ctx), []string{name}, new(images.RemoveOptions).WithIgnore(true))
	for _, err := range errs {
		switch {
		case notFound(err):
		case strings.Contains(err.Error(), "in use by") || strings.Contains(err.Error(), "in use: "):
			if _, _, named := review.ParseImageName(name); named {
				return p.Untag(ctx, name)
			}
		default:
			return err
		}
	}
	return nil
}
