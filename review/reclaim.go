package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Reclaim says what of the disk goes that nobody needs.
type Reclaim struct {
	DryRun bool
	Yes    bool          // even when most apps have no record
	All    bool          // of the build cache, and of the caches of jobs
	Older  time.Duration // caches that were not used for so long go; 0: none for its age
	Keep   Bytes         // what the build cache, and the caches of jobs, may hold, each; 0: limits.build_cache, and no limit
	// Done, if set, is called after each object.
	Done func()
}

// Reclaimed is what has gone, or would go.
type Reclaimed struct {
	Objects int
	Size    Bytes
}

// Reclaim removes what holds disk and nobody needs: images of releases that no
// record names, what builds have left for later ones, and the caches of jobs.
// Only what carries our labels is looked at, and each goes by its own name or ID,
// unless somebody uses it. Rebuilds may take longer, and are still right.
func (l *Lifecycle) Reclaim(ctx context.Context, options Reclaim, log *Log) (Reclaimed, error) {
	if !options.Yes {
		there, err := l.takeInventory(ctx)
		if err == nil {
			err = l.checkRecords(there)
		}
		if err != nil {
			return Reclaimed{}, err
		}
	}
	r := reclaiming{Lifecycle: l, Reclaim: options, log: log, now: time.Now()}
	err := errors.Join(r.images(ctx), r.buildCache(ctx), r.jobCaches(ctx))
	return r.sum, err
}

type reclaiming struct {
	*Lifecycle
	Reclaim
	log *Log
	now time.Time
	sum Reclaimed
}

// discard removes one object, or says that it would.
func (r *reclaiming) discard(ctx context.Context, s Stored, what string) (gone bool, err error) {
	if r.Reclaim.Done != nil {
		defer r.Reclaim.Done()
	}
	if !r.DryRun {
		if gone, err = r.Containers.Discard(ctx, s); err != nil || !gone {
			return false, err
		}
	}
	r.sum.Objects++
	r.sum.Size += s.Size
	if what != "" {
		r.log.Line("%s %s, %s", r.verb(), what, s.Size)
	}
	return true, nil
}

func (r *reclaiming) verb() string {
	if r.DryRun {
		return "Would remove"
	}
	return "Removed"
}

// images removes those of releases that no record names. An app without a record
// that has more than images is left whole to Sync.
func (r *reclaiming) images(ctx context.Context) error {
	stored, err := r.Containers.Stored(ctx, map[string]string{LabelApp: AnyValue})
	if err != nil {
		return err
	}
	apps := map[string][]Stored{}
	for _, s := range stored {
		apps[s.Labels[LabelApp]] = append(apps[s.Labels[LabelApp]], s)
	}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		if CheckLabel(name) == nil {
			failed = append(failed, r.imagesOf(ctx, name, apps[name]))
		}
	}
	return errors.Join(failed...)
}

func (r *reclaiming) imagesOf(ctx context.Context, name string, stored []Stored) error {
	unlock, err := r.Records.TryLock(name)
	if unlock == nil {
		return err // somebody works on it
	}
	defer unlock()
	record, err := r.Records.Load(name)
	if err != nil {
		return nil //nolint:nilerr // what it needs is not known, and Sync tells of that
	}
	whole := slices.ContainsFunc(stored, func(s Stored) bool { return s.Kind != "image" })
	if whole && (record == nil || record.Stopping) {
		r.log.Line("%s has containers or volumes of which no record tells: \"review-executor sync\" removes all of it", name)
		return nil
	}
	for _, s := range stored {
		if s.Kind == "image" && (record == nil || !record.wants(s.Object)) {
			if _, err := r.discard(ctx, s, "image "+s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// buildCache removes what builds have left for later ones, the oldest first.
func (r *reclaiming) buildCache(ctx context.Context) error {
	cache, err := r.Containers.BuildCache(ctx)
	if err != nil {
		return err
	}
	keep := r.Limits.BuildCache
	if r.Keep > 0 {
		keep = r.Keep
	}
	before := r.sum
	for _, s := range r.surplus(cache, keep, func(s Stored) time.Time { return s.Created }) {
		if _, err := r.discard(ctx, s, ""); err != nil {
			return err
		}
	}
	if n := r.sum.Objects - before.Objects; n > 0 {
		r.log.Line("%s %d layers of earlier builds, %s", r.verb(), n, r.sum.Size-before.Size)
	}
	return nil
}

// surplus is what is too old, and then what is too much, of what is there in the order
// in which it may go. 0 keeps all.
func (r *reclaiming) surplus(there []Stored, keep Bytes, used func(Stored) time.Time) []Stored {
	var size Bytes
	for _, s := range there {
		size += s.Size
	}
	var surplus []Stored
	for _, s := range there {
		old := r.Older > 0 && r.now.Sub(used(s)) >= r.Older
		if r.All || old || (keep > 0 && size > keep) {
			surplus = append(surplus, s)
			size -= s.Size
		}
	}
	return surplus
}

// jobCaches removes the volumes of "cache:", the least lately used first.
func (r *reclaiming) jobCaches(ctx context.Context) error {
	if !r.All && r.Older == 0 && r.Keep == 0 {
		return nil
	}
	unlock, err := r.Records.LockCaches(ctx) // no job shall choose one that goes
	if err != nil {
		return err
	}
	defer unlock()
	stored, err := r.Containers.Stored(ctx, map[string]string{LabelRole: RoleCache})
	if err != nil {
		return err
	}
	used := func(s Stored) time.Time { return r.Records.cacheUsed(s.Name, s.Created) }
	slices.SortStableFunc(stored, func(a, b Stored) int { return used(a).Compare(used(b)) })
	for _, s := range r.surplus(stored, r.Keep, used) {
		gone, err := r.discard(ctx, s, fmt.Sprintf("cache %s of %s, last used %s", s.Name, Printable(s.Labels[LabelProject], 100), used(s).Format(time.DateOnly)))
		if err != nil {
			return err
		}
		if gone && !r.DryRun {
			r.Records.forgetCache(s.Name)
		}
	}
	return nil
}

// UseCache notes that a job has a cache volume now. The engine knows only when it
// was made.
func (r *Records) UseCache(volume string) error {
	file, err := r.cacheFile(volume)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("note the use of a cache: %w", err)
	}
	if err := os.WriteFile(file, nil, 0o640); err != nil { //nolint:gosec // no secret
		return fmt.Errorf("note the use of a cache: %w", err)
	}
	now := time.Now()
	return os.Chtimes(file, now, now)
}

func (r *Records) cacheFile(volume string) (string, error) {
	if strings.ContainsAny(volume, "/\x00") || strings.HasPrefix(volume, ".") {
		return "", fmt.Errorf("%s is no cache", Printable(volume, 80))
	}
	return filepath.Join(r.dir, "caches", volume), nil
}

// cacheUsed is when a job had the volume last, as far as it was noted.
func (r *Records) cacheUsed(volume string, created time.Time) time.Time {
	file, err := r.cacheFile(volume)
	if err != nil {
		return created
	}
	info, err := os.Stat(file)
	if err != nil {
		return created
	}
	return later(created, info.ModTime())
}

func (r *Records) forgetCache(volume string) {
	if file, err := r.cacheFile(volume); err == nil {
		_ = os.Remove(file) // at worst it is noted for a volume of the same name
	}
}
