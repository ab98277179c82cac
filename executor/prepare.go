package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// Prepare decides whether the job may do what it asks for and starts its two
// containers. A job that only stops an environment needs none.
//
// The runner tries prepare three times, with cleanup in between, unless it is a
// build failure.
func (e *Executor) Prepare(ctx context.Context) error {
	job, err := e.job()
	if err != nil {
		return err
	}
	if err := e.allowed(job); err != nil {
		return err
	}
	if e.stops(job) {
		return nil
	}
	if len(job.Services) > 0 {
		e.log().Line("WARNING: services are not started: %s", strings.Join(job.Services, ", "))
	}
	if e.deploys(job) { // what cannot be deployed is said before anything runs
		if _, _, err := e.settings(); err != nil {
			return err
		}
		if _, err := e.Apps.App(e.request(job, review.Settings{})); err != nil {
			return err
		}
	}
	if err := e.removeJob(ctx, job.ID); err != nil { // what a killed prepare left
		return err
	}
	image, helper := e.image(job), e.helperImage()
	if err := e.pull(ctx, image, helper); err != nil {
		return err
	}
	return e.startContainers(ctx, job, image, helper)
}

func (e *Executor) pull(ctx context.Context, images ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, image := range images {
		group.Go(func() error { return e.Engine.Pull(ctx, image, e.Stdout) })
	}
	return group.Wait()
}

func (e *Executor) startContainers(ctx context.Context, job Job, image, helper string) error {
	name := jobName(job.ID)
	labels := jobLabels(job, review.RoleJob)
	if err := e.Engine.EnsureNetwork(ctx, name, labels); err != nil {
		return err
	}
	if err := e.Engine.CreateVolume(ctx, name, labels); err != nil {
		return err
	}
	container := review.Container{
		Hostname: name,
		Network:  name,
		Volumes:  map[string]string{name: BuildsDir},
		Shell:    true,
		// Helper and job may be different users in one checkout.
		Env: map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		c := container
		c.Name, c.Image, c.Command, c.Labels = name, image, waitForStages, labels
		_, err := e.Engine.Start(ctx, c)
		return err
	})
	group.Go(func() error {
		c := container
		c.Name, c.Image, c.Command, c.Labels = helperName(job.ID), helper, waitAsHelper, jobLabels(job, review.RoleHelper)
		_, err := e.Engine.Start(ctx, c)
		return err
	})
	return group.Wait()
}

// image is the job's: what it names, or the host's default.
func (e *Executor) image(job Job) string {
	if job.Image != "" {
		// The response holds what was written in the YAML, variables and all.
		return expandVariables(job.Image, e.variables())
	}
	return e.Jobs.Image
}

func (e *Executor) helperImage() string {
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return strings.NewReplacer("{version}", e.Env["CUSTOM_ENV_CI_RUNNER_VERSION"], "{arch}", arch).Replace(e.Jobs.HelperImage)
}

// Cleanup removes what belongs to the job alone: a published app outlives it.
// It works without a job response, before prepare, twice, and beside a live run.
func (e *Executor) Cleanup(ctx context.Context) error {
	id, err := e.jobID()
	if err != nil {
		fmt.Fprintf(e.Stderr, "cleanup: the job is not known, so nothing of it is removed: %v\n", err)
		return nil
	}
	return e.removeJob(ctx, id)
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

func (e *Executor) removeJob(ctx context.Context, id int64) error {
	var failed []error
	for _, role := range []string{review.RoleHelper, review.RoleJob} {
		labels := map[string]string{review.LabelJob: strconv.FormatInt(id, 10), review.LabelRole: role}
		if err := e.Apps.Containers.Remove(ctx, labels, 0); err != nil {
			failed = append(failed, fmt.Errorf("remove the containers of job %d: %w", id, err))
		}
	}
	return errors.Join(failed...)
}
