package review

import "context"

// pruneBuildCache keeps what builds have left for later ones within
// limits.build_cache. That it fails is not the deploy's trouble: the next one tries
// again.
func (l *Lifecycle) pruneBuildCache(ctx context.Context, log *Log) {
	if err := l.Containers.PruneBuildCache(ctx, l.Limits.BuildCache); err != nil && ctx.Err() == nil {
		log.Line("WARNING: the cache of builds could not be looked through, the next deploy will try again: %v", err)
	}
}
