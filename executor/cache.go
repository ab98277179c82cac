package executor

import (
	"context"
	"fmt"
	"strconv"

	"gitlab.com/review-executor/review-executor/review"
)

// CacheDir is where the containers of a job with "cache:" have a volume that
// outlives it.
const CacheDir = "/cache"

// createHelper creates the helper container, and names the cache volume that the
// job has until its containers go: "" if it has none.
//
// No two jobs have one cache volume at a time, and unprotected branches never
// have one of the protected: who may push a branch must not choose what the
// main branch builds from.
func (e *Executor) createHelper(ctx context.Context, job Job, image review.Image) (id string, c review.Container, cache string, err error) {
	if job.Caches {
		unlock, err := e.Apps.Records.LockCaches(ctx)
		if err != nil {
			return "", c, "", err
		}
		defer unlock()
		if cache, err = e.cacheVolume(ctx, job); err != nil {
			return "", c, "", err
		}
	}
	c = e.helperContainer(job, image, cache)
	id, err = e.Engine.Create(ctx, c)
	return id, c, cache, err
}

// cacheVolume makes the first cache volume of the project that no job has, or
// finds it.
func (e *Executor) cacheVolume(ctx context.Context, job Job) (string, error) {
	helpers, err := e.Engine.Objects(ctx, map[string]string{review.LabelRole: review.RoleHelper})
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, helper := range helpers {
		taken[helper.Labels[labelCache]] = true
	}
	kind := "unprotected"
	if job.Protected {
		kind = "protected"
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("review-cache-%d-%s-%d", job.ProjectID, kind, n)
		if !taken[name] {
			_, err := e.Engine.CreateVolume(ctx, name, map[string]string{
				review.LabelRole:      review.RoleCache,
				review.LabelProject:   job.Project,
				review.LabelProjectID: strconv.FormatInt(job.ProjectID, 10),
			}, 0)
			if unnoted := e.Apps.Records.UseCache(name); unnoted != nil && err == nil {
				e.Operator.WithError(unnoted).Warn("prune will take a cache for older than it is")
			}
			return name, err
		}
	}
}
