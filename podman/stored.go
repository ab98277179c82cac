package podman

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"

	"gitlab.com/review-executor/review-executor/review"
)

// Stored tells how much disk is in what carries all of the labels. See
// review.Insight.
func (p *Podman) Stored(ctx context.Context, labels map[string]string) ([]review.Stored, error) {
	all, err := p.storedImages(ctx, labels)
	if err != nil {
		return nil, err
	}
	var report *types.SystemDfReport
	err = retry(ctx, func() (err error) { // it fails when anything goes meanwhile
		report, err = system.DiskUsage(p.call(ctx), nil)
		return err
	})
	if err != nil {
		return nil, p.explain(err, "ask how much disk is used")
	}
	inContainers, err := p.storedContainers(ctx, labels, report)
	if err != nil {
		return nil, err
	}
	inVolumes, err := p.storedVolumes(ctx, labels, report)
	return slices.Concat(all, inContainers, inVolumes), err
}

func (p *Podman) storedContainers(ctx context.Context, labels map[string]string, report *types.SystemDfReport) ([]review.Stored, error) {
	found, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithFilters(labelFilter(labels)))
	if err != nil {
		return nil, p.explain(err, "list containers")
	}
	sizes := map[string]int64{}
	for _, c := range report.Containers {
		sizes[c.ContainerID] = c.RWSize
	}
	var all []review.Stored
	for _, c := range found {
		if carries(c.Labels, labels) && len(c.Names) > 0 {
			o := review.Object{Kind: "container", Name: c.Names[0], Running: c.State == "running", Labels: c.Labels}
			all = append(all, review.Stored{Object: o, ID: c.ID, Created: c.Created.UTC(), Size: size(sizes[c.ID])})
		}
	}
	return all, nil
}

func (p *Podman) storedVolumes(ctx context.Context, labels map[string]string, report *types.SystemDfReport) ([]review.Stored, error) {
	found, err := volumes.List(p.call(ctx), new(volumes.ListOptions).WithFilters(labelFilter(labels)))
	if err != nil {
		return nil, p.explain(err, "list volumes")
	}
	sizes := map[string]int64{}
	for _, v := range report.Volumes {
		sizes[v.VolumeName] = v.Size
	}
	var all []review.Stored
	for _, v := range found {
		if carries(v.Labels, labels) {
			o := review.Object{Kind: "volume", Name: v.Name, Labels: v.Labels}
			all = append(all, review.Stored{Object: o, Created: v.CreatedAt.UTC(), Size: size(sizes[v.Name])})
		}
	}
	return all, nil
}

// storedImages are those of releases, one for each name. What an image holds are
// the layers above the closest that anything else needs, which go with it.
func (p *Podman) storedImages(ctx context.Context, labels map[string]string) ([]review.Stored, error) {
	listed, err := p.allImages(ctx)
	if err != nil {
		return nil, err
	}
	tree := newImageTree(listed)
	var all []review.Stored
	for _, image := range listed {
		if nameless(image) && tree.children[image.ID] > 0 {
			continue // a step of a build, which goes with what was built
		}
		for _, o := range releaseImages(image) {
			if carries(o.Labels, labels) {
				all = append(all, review.Stored{Object: o, ID: image.ID, Created: time.Unix(image.Created, 0).UTC(), Size: tree.own(image)})
			}
		}
	}
	return all, nil
}

func (p *Podman) allImages(ctx context.Context) (all []*types.ImageSummary, err error) {
	err = retry(ctx, func() (err error) {
		all, err = images.List(p.call(ctx), new(images.ListOptions).WithAll(true))
		return err
	})
	return all, p.explain(err, "list images")
}

// imageTree knows what images were built on.
type imageTree struct {
	all      map[string]*types.ImageSummary
	children map[string]int
}

func newImageTree(listed []*types.ImageSummary) imageTree {
	t := imageTree{all: map[string]*types.ImageSummary{}, children: map[string]int{}}
	for _, image := range listed {
		t.all[image.ID] = image
		t.children[image.ParentId]++
	}
	return t
}

// own is what goes with the image alone.
func (t imageTree) own(image *types.ImageSummary) review.Bytes {
	if len(image.RepoTags) > 1 || t.children[image.ID] > 0 {
		return 0
	}
	for next := t.all[image.ParentId]; next != nil; next = t.all[next.ParentId] {
		if t.children[next.ID] > 1 || next.Containers > 0 || next.ReadOnly || !nameless(next) || len(named(next)) > 0 {
			return size(image.Size - next.Size)
		}
	}
	return size(image.Size)
}

func named(image *types.ImageSummary) []string {
	return slices.DeleteFunc(slices.Clone(image.RepoTags), func(tag string) bool { return tag == "<none>:<none>" })
}

func size(n int64) review.Bytes { return review.Bytes(max(n, 0)) }

// Discard removes one object that holds disk. See review.Insight.
func (p *Podman) Discard(ctx context.Context, stored review.Stored) (gone bool, err error) {
	switch stored.Kind {
	case "volume":
		err = volumes.Remove(p.call(ctx), stored.Name, nil)
	case "container":
		err = p.removeContainer(ctx, stored.ID, 0)
	default:
		return p.discardImage(ctx, stored)
	}
	if status(err) == http.StatusConflict {
		return false, nil
	}
	if notFound(err) {
		err = nil
	}
	return err == nil, p.explain(err, "remove %s %s", stored.Kind, stored.Name)
}

func (p *Podman) discardImage(ctx context.Context, stored review.Stored) (gone bool, err error) {
	_, errs := images.Remove(p.call(ctx), []string{stored.Name}, new(images.RemoveOptions).WithIgnore(true))
	for _, err := range errs {
		switch {
		case notFound(err):
		case status(err) == http.StatusConflict || strings.Contains(err.Error(), "in use"): // Podman 4.3 says the latter
			return false, nil
		default:
			return false, p.explain(err, "remove image %s", stored.Name)
		}
	}
	return true, nil
}
