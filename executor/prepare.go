package executor

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// Prepare decides whether the job may do what it asks for and starts its
// containers. A job that only stops an environment needs none.
//
// The runner tries prepare three times, with cleanup in between, unless it is a
// build failure.
func (e *Executor) Prepare(ctx context.Context) error {
	job, err := e.job()
	if err != nil {
		return err
	}
	if err := e.allowed(ctx, job); err != nil {
		return err
	}
	if e.stops(job) {
		return nil
	}
	if err := e.deployable(job); err != nil {
		return err
	}
	var images pulled
	group, making := errgroup.WithContext(ctx)
	group.Go(func() error { return e.removeLeftovers(making, job) })
	group.Go(func() (err error) {
		images, err = e.pullImages(making, job)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return e.startContainers(ctx, job, images)
}

// deployable says what cannot be deployed before anything runs.
func (e *Executor) deployable(job Job) error {
	if !e.deploys(job) {
		return nil
	}
	if _, _, err := e.settings(); err != nil {
		return err
	}
	_, err := e.Apps.App(e.request(job, review.Settings{}))
	return err
}

// Cleanup removes what belongs to the job alone: a published app outlives it.
// It works without a job response, before prepare, twice, and beside a live run.
func (e *Executor) Cleanup(ctx context.Context) error {
	id, err := e.jobID()
	if err != nil {
		fmt.Fprintf(e.Stderr, "cleanup: the job is not known, so nothing of it is removed: %v\n", err)
		return nil
	}
	return errors.Join(e.RemoveJob(context.WithoutCancel(ctx), id), e.abandon(ctx, id))
}

// abandon gives up the app's companions, if the job has not deployed.
func (e *Executor) abandon(ctx context.Context, id int64) error {
	job, err := e.job()
	if err != nil || !e.deploys(job) {
		return nil //nolint:nilerr // without the job response, "sync" does it
	}
	app, err := e.Apps.App(e.request(job, review.Settings{}))
	if err != nil {
		return nil //nolint:nilerr // prepare has refused it
	}
	return e.Apps.Abandon(context.WithoutCancel(ctx), app, id)
}

// jobID comes from the job response or, without it, from what config told the
// runner to pass on.
func (e *Executor) jobID() (int64, error) {
	job, err := e.job()
	if err == nil {
		return job.ID, nil
	}
	if id, parsed := strconv.ParseInt(e.Env[jobEnv], 10, 64); parsed == nil && id > 0 {
		return id, nil
	}
	return 0, err
}
