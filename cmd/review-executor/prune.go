package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/review"
)

func newPrune() *cobra.Command {
	var options review.Reclaim
	cmd := &cobra.Command{
		Use:     "prune",
		GroupID: "admin",
		Short:   "Remove what nobody needs",
		Long: `prune removes what killed jobs have left, images of versions that no record
names, and layers of earlier builds beyond limits.build_cache. Flags choose what
else goes: layers and the caches of jobs that were not used for some time, or
that are more than may be kept, the oldest first. What runs, what an app or a
job uses, and what is not ours stays. Later builds may take longer.`,
		Example: `  review-executor prune --dry-run
  review-executor prune --older-than 720h --keep-storage 10GiB`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Older < 0 {
				return usageError{errors.New("--older-than is more than nothing")}
			}
			e, err := newExecutor(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			progress := newProgress(cmd.ErrOrStderr(), 0, "pruning")
			defer progress.done()
			options.Done = progress.step
			log := review.NewLog(progress.around(cmd.OutOrStdout()))
			if err := pruneJobs(cmd.Context(), e, log, options.DryRun); err != nil {
				return err
			}
			sum, err := e.Apps.Reclaim(cmd.Context(), options, log)
			switch {
			case err != nil:
				return err
			case sum.Objects == 0:
				log.Line("Nothing else can go.")
			case options.DryRun:
				log.Line("Would free %s", sum.Size)
			default:
				log.Line("Freed %s", sum.Size)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "only say what would be done, and how much it frees")
	cmd.Flags().BoolVar(&options.All, "all", false, "the whole build cache, and all caches that no job uses")
	cmd.Flags().DurationVar(&options.Older, "older-than", 0, "layers and caches that were not used for this `TIME`, such as 720h")
	cmd.Flags().Func("keep-storage", "how much the build cache, and the caches of jobs, may hold, each, as `SIZE` such as 10GiB", func(text string) error {
		return options.Keep.UnmarshalText([]byte(text))
	})
	cmd.Flags().BoolVar(&options.Yes, "yes", false, "even when most apps have no record")
	return cmd
}

// pruneJobs removes what killed jobs have left.
func pruneJobs(ctx context.Context, e *executor.Executor, log *review.Log, dryRun bool) error {
	jobs, err := e.Leftovers(ctx)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		log.Line("No killed job has left anything.")
	}
	for _, job := range jobs {
		if dryRun {
			log.Line("Would remove what job %d has left", job)
			continue
		}
		if err := e.RemoveJob(ctx, job); err != nil {
			return err
		}
		log.Line("Removed what job %d has left", job)
	}
	return nil
}
