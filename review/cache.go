package review

import "context"

// pruneBuildCache keeps what builds have left for later ones within
// limits.build_cache. That it fails is not the deploy's trouble: the next one tries
// again.
func (d *deploy) pruneBuildCache(ctx context.Context) error {
	if err := d.Containers.PruneBuildCache(ctx, d.Limits.BuildCache); err != nil && ctx.Err() == nil {
		d.log.Line("WARNING: the cache of builds could not be looked through, the next deploy will try again: %v", err)
	}
	return nil
}
