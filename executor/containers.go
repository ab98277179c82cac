package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// What containers of a job carry beside the labels of package review.
const (
	labelShell = "review-executor.shell" // how scripts are run in it
	labelOwner = "review-executor.owner" // the runner that the job lives and dies with
	labelCache = "review-executor.cache" // the cache volume that it uses
)

// names of what a job has in the container engine.
func helperName(job int64) string { return fmt.Sprintf("review-job-%d-helper", job) }
func jobName(job int64) string    { return fmt.Sprintf("review-job-%d", job) }

func serviceName(job int64, n int) string { return fmt.Sprintf("review-job-%d-service-%d", job, n) }

// jobLabels go on everything of a job. Those that only apps have are empty: an
// image may bring labels of its own.
func (e *Executor) jobLabels(job Job, role string) map[string]string {
	return map[string]string{
		review.LabelJob:         strconv.FormatInt(job.ID, 10),
		review.LabelRole:        role,
		review.LabelProject:     job.Project,
		review.LabelProjectID:   strconv.FormatInt(job.ProjectID, 10),
		review.LabelRef:         job.Ref,
		review.LabelSHA:         job.SHA,
		review.LabelApp:         "",
		review.LabelEnvironment: "",
		review.LabelRelease:     "",
		labelOwner:              e.owner(),
	}
}

// shell is how scripts are run in the job's container.
type shell struct {
	User       string   `json:"user"`
	Entrypoint []string `json:"entrypoint"`
}

// startContainers starts the helper and the services or the app's companions at
// the same time, once it is known which user IDs they share, and then the job's
// container, which knows the services' addresses. The services have until then to
// be ready, and longer if they need it.
func (e *Executor) startContainers(ctx context.Context, job Job, images pulled) error {
	if err := e.createStorage(ctx, job); err != nil {
		return err
	}
	id, helper, cache, err := e.createHelper(ctx, job, images.helper)
	if err != nil {
		return err
	}
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() error { return e.Engine.StartCreated(starting, id, helper) })
	group.Go(func() error {
		container, err := e.jobContainer(job, images.job, cache)
		if err != nil {
			return err
		}
		if e.companioned(job) {
			app, err := e.prepareApp(starting, job, images.services)
			if err != nil {
				return err
			}
			container.Network, container.Hosts = app.Network, app.Hosts
			_, err = e.Engine.Start(starting, container)
			return err
		}
		started, err := e.startServices(starting, job, images.services)
		if err != nil {
			return err
		}
		container.Hosts = hosts(started)
		if _, err := e.Engine.Start(starting, container); err != nil {
			return err
		}
		return e.waitForServices(starting, started)
	})
	return group.Wait()
}

// createStorage makes the job's network and its workspace.
func (e *Executor) createStorage(ctx context.Context, job Job) error {
	name, labels := jobName(job.ID), e.jobLabels(job, review.RoleJob)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if network := e.network(job); network != "" {
			return e.Engine.EnsureNetwork(ctx, network, labels)
		}
		return nil
	})
	group.Go(func() error {
		_, err := e.Engine.CreateVolume(ctx, name, labels, e.Jobs.WorkspaceSize)
		if errors.Is(err, review.ErrNoQuota) {
			e.Operator.WithError(err).Warn("jobs.workspace_size is not enforced: the store cannot limit a volume")
			_, err = e.Engine.CreateVolume(ctx, name, labels, 0)
		}
		return err
	})
	return group.Wait()
}

// network is the one that the job's containers share, to find its services by
// name. Without services each container is better off alone, and the companions
// of an app are in its network.
func (e *Executor) network(job Job) string {
	if (len(job.Services) == 0 || e.companioned(job)) && e.Engine.OwnNetworks() {
		return ""
	}
	return jobName(job.ID)
}

// container is what the job's containers have in common.
func (e *Executor) container(job Job, role string) review.Container {
	return review.Container{
		Network:   e.network(job),
		Labels:    e.jobLabels(job, role),
		Isolation: e.Isolation,
	}
}

func (e *Executor) workplace(c review.Container, job Job, cache string) review.Container {
	c.Shell = true
	c.User = "0"
	c.Hostname = jobName(job.ID)
	c.Volumes = map[string]string{jobName(job.ID): BuildsDir}
	if cache != "" {
		c.Volumes[cache] = CacheDir
		c.Labels[labelCache] = cache
	}
	// Helper and job may be different users in one checkout.
	c.Env = map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
	return c
}

func (e *Executor) helperContainer(job Job, image review.Image, cache string) review.Container {
	c := e.workplace(e.container(job, review.RoleHelper), job, cache)
	c.Name, c.Image, c.Command = helperName(job.ID), image.ID, waitAsHelper
	if cache != "" {
		c.Chown = []string{cache} // the job before had other user IDs
	}
	return c
}

func (e *Executor) jobContainer(job Job, image review.Image, cache string) (review.Container, error) {
	c := e.workplace(e.container(job, review.RoleJob), job, cache)
	c.Name, c.Image, c.Command = jobName(job.ID), image.ID, waitAsJob
	c.Aliases = []string{"build"} // as the docker executor calls it
	c.SameIDs = helperName(job.ID)
	asked := e.image(job)
	how := shell{User: image.User, Entrypoint: image.Entrypoint}
	if asked.User != "" {
		how.User = asked.User
	}
	if asked.Entrypoint != nil {
		how.Entrypoint = withoutEmpty(asked.Entrypoint)
	}
	text, err := json.Marshal(how)
	c.Labels[labelShell] = string(text)
	return c, err
}

// withoutEmpty turns entrypoint: [""], which is how YAML says "none", into none.
func withoutEmpty(entrypoint []string) []string {
	if len(entrypoint) == 1 && entrypoint[0] == "" {
		return []string{}
	}
	return entrypoint
}
