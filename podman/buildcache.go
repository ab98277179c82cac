package podman

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"

	"gitlab.com/review-executor/review-executor/review"
)

// longestBuild is how old the working container of a build can be that still runs.
const longestBuild = 2 * time.Hour

// PruneBuildCache removes the oldest images that builds have left for the next ones
// until what they hold is within budget. See review.Containers.
func (p *Podman) PruneBuildCache(ctx context.Context, budget review.Bytes) error {
	if budget == 0 {
		return nil
	}
	// A build that runs may be about to use any of them.
	if busy, err := p.building(ctx); busy || err != nil {
		return err
	}
	all, err := p.allImages(ctx)
	if err != nil {
		return err
	}
	cache := newBuildCache(all)
	for _, image := range cache.oldestFirst() {
		if cache.size <= int64(budget) {
			break
		}
		if cache.own[image.ID] == nil {
			continue // it went with another
		}
		reports, errs := images.Remove(p.call(ctx), []string{image.ID}, new(images.RemoveOptions).WithIgnore(true))
		for _, err := range errs {
			// Somebody uses it after all, or it is gone.
			if code := status(err); code != http.StatusConflict && code != http.StatusNotFound {
				return p.explain(err, "remove image %s", image.ID)
			}
		}
		if reports != nil {
			for _, id := range reports.Deleted {
				cache.forget(id)
			}
		}
	}
	return nil
}

// BuildCache is what PruneBuildCache chooses from. See review.Insight.
func (p *Podman) BuildCache(ctx context.Context) ([]review.Stored, error) {
	if busy, err := p.building(ctx); busy || err != nil {
		return nil, err
	}
	all, err := p.allImages(ctx)
	if err != nil {
		return nil, err
	}
	cache := newBuildCache(all)
	var found []review.Stored
	ages := cache.ages()
	for _, image := range cache.oldestFirst() {
		o := review.Object{Kind: "image", Name: image.ID, Labels: image.Labels}
		found = append(found, review.Stored{Object: o, ID: image.ID, Created: time.Unix(ages[image.ID], 0).UTC(), Size: size(cache.layer(image))})
	}
	return found, nil
}

// building tells whether the engine builds anything just now.
func (p *Podman) building(ctx context.Context) (bool, error) {
	found, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithExternal(true))
	if err != nil {
		return false, p.explain(err, "list containers")
	}
	return slices.ContainsFunc(found, func(c types.ListContainer) bool {
		working := slices.ContainsFunc(c.Names, func(name string) bool { return strings.Contains(name, "working-container") })
		return working && time.Since(c.Created) < longestBuild
	}), nil
}

// buildCache are the images that only later builds can be interested in: without a
// name, of a build for a project, and no other image or container needs them.
type buildCache struct {
	own  map[string]*types.ImageSummary
	all  map[string]*types.ImageSummary
	size int64
}

func newBuildCache(all []*types.ImageSummary) *buildCache {
	c := &buildCache{own: map[string]*types.ImageSummary{}, all: map[string]*types.ImageSummary{}}
	for _, image := range all {
		c.all[image.ID] = image
	}
	needed := map[string]bool{}
	for _, image := range all {
		if cached(image) && image.Containers == 0 {
			continue
		}
		for next := image; next != nil && !needed[next.ID]; next = c.all[next.ParentId] {
			needed[next.ID] = true
		}
	}
	for _, image := range all {
		if cached(image) && !needed[image.ID] {
			c.own[image.ID] = image
			c.size += c.layer(image)
		}
	}
	return c
}

// cached tells whether a build has left the image and no deploy calls it its own.
func cached(image *types.ImageSummary) bool {
	named := slices.ContainsFunc(image.RepoTags, func(tag string) bool { return tag != "<none>:<none>" })
	return !named && !image.ReadOnly && image.Labels[review.LabelProjectID] != "" && image.Labels[review.LabelRelease] == ""
}

// layer is what the image holds beyond the one that it was built on.
func (c *buildCache) layer(image *types.ImageSummary) int64 {
	if parent := c.all[image.ParentId]; parent != nil {
		return max(image.Size-parent.Size, 0)
	}
	return image.Size
}

func (c *buildCache) forget(id string) {
	if image := c.own[id]; image != nil {
		c.size -= c.layer(image)
		delete(c.own, id)
	}
}

// ages tell when images were made: an image is as old as the newest that is built on it.
func (c *buildCache) ages() map[string]int64 {
	age := map[string]int64{}
	for _, image := range c.own {
		for next := image; next != nil && age[next.ID] < image.Created; next = c.all[next.ParentId] {
			age[next.ID] = image.Created
		}
	}
	return age
}

// oldestFirst has an image behind all that are built on it, and else the oldest
// first.
func (c *buildCache) oldestFirst() []*types.ImageSummary {
	depth := func(image *types.ImageSummary) (n int) {
		for image = c.all[image.ParentId]; image != nil && n < len(c.all); image = c.all[image.ParentId] {
			n++
		}
		return n
	}
	age := c.ages()
	sorted := slices.Collect(maps.Values(c.own))
	slices.SortFunc(sorted, func(a, b *types.ImageSummary) int {
		if age[a.ID] != age[b.ID] {
			return int(min(max(age[a.ID]-age[b.ID], -1), 1))
		}
		if d := depth(b) - depth(a); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return sorted
}
