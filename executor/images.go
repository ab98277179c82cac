package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

// pulled are the images of a job, in the local store.
type pulled struct {
	helper, job review.Image
	services    []review.Image
}

// pullImages gets everything that the job runs in, at the same time.
func (e *Executor) pullImages(ctx context.Context, job Job) (pulled, error) {
	logins, err := e.credentials(job)
	if err != nil {
		return pulled{}, err
	}
	services := e.services(job)
	all := pulled{services: make([]review.Image, len(services))}
	group, ctx := errgroup.WithContext(ctx)
	get := func(image Image, into *review.Image) {
		group.Go(func() (err error) {
			policies, err := e.pullPolicies(image)
			if err == nil {
				*into, err = e.pullImage(ctx, image, policies, logins)
			}
			if image.Name == e.Jobs.Image {
				err = hostsFault(err, "jobs.image")
			}
			if err == nil {
				err = checkOwner(job, image.Name, *into)
			}
			return err
		})
	}
	get(e.image(job), &all.job)
	for i, service := range services {
		get(service, &all.services[i])
	}
	group.Go(func() (err error) {
		// The version is part of its name, so the registry has nothing newer.
		all.helper, err = e.pullImage(ctx, Image{Name: e.helperImage()}, []string{review.PullIfNotPresent}, logins)
		return hostsFault(err, "jobs.helper_image")
	})
	return all, group.Wait()
}

// appImage pulls the image that REVIEW_IMAGE names, as it would the job's own.
func (e *Executor) appImage(job Job) func(context.Context, string, io.Writer) (review.Image, error) {
	return func(ctx context.Context, name string, _ io.Writer) (review.Image, error) {
		if !matchAny(e.Policy.Images, name) {
			return review.Image{}, e.denied("images", "image %s may not be used on this host: only %s may", name, strings.Join(e.Policy.Images, ", "))
		}
		logins, err := e.credentials(job)
		if err != nil {
			return review.Image{}, err
		}
		image, err := e.pullImage(ctx, Image{Name: name}, e.Jobs.PullPolicy, logins)
		if err != nil {
			return review.Image{}, err
		}
		return image, checkOwner(job, name, image)
	}
}

// hostsFault makes it a system failure that an image is missing which no job has
// chosen, but the key of the configuration.
func hostsFault(err error, key string) error {
	var f *review.Failure
	if !errors.As(err, &f) {
		return err
	}
	hosts := *f
	hosts.Kind, hosts.Hint = review.System, "not your branch: ask the host's administrator; the image is "+key
	return &hosts
}

// image is the job's: what it names, or the host's default.
func (e *Executor) image(job Job) Image {
	image := e.expand(job.Image)
	if image.Name == "" {
		image.Name = e.Jobs.Image
	}
	return image
}

// services are those of the job.
func (e *Executor) services(job Job) []Image {
	services := make([]Image, len(job.Services))
	for i, service := range job.Services {
		services[i] = e.expand(service)
	}
	return services
}

// expand replaces the variables in an image: the response holds what was written
// in the YAML.
func (e *Executor) expand(image Image) Image {
	vars := e.variables()
	image.Name = expandVariables(image.Name, vars)
	image.Platform = expandVariables(image.Platform, vars)
	image.User = expandVariables(image.User, vars)
	image.Aliases = slices.Clone(image.Aliases)
	for i, alias := range image.Aliases {
		image.Aliases[i] = expandVariables(alias, vars)
	}
	return image
}

func (e *Executor) helperImage() string {
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return strings.NewReplacer("{version}", e.Env["CUSTOM_ENV_CI_RUNNER_VERSION"], "{arch}", arch).Replace(e.Jobs.HelperImage)
}

// pullImage goes through the pull policies until one succeeds.
func (e *Executor) pullImage(ctx context.Context, image Image, policies []string, logins credentials) (got review.Image, err error) {
	username, password := logins.of(image.Name)
	for i, policy := range policies {
		if i > 0 {
			e.log().Line("WARNING: %v", err)
			e.log().Line("Trying pull policy %q for image %s", policy, image.Name)
		}
		pull := review.Pull{Image: image.Name, Policy: policy, Platform: image.Platform, Username: username, Password: password}
		if got, err = e.Engine.Pull(ctx, pull, e.Stdout); err == nil {
			return got, nil
		}
	}
	return got, err
}

// pullPolicies are those that the job asks for and the host allows.
func (e *Executor) pullPolicies(image Image) ([]string, error) {
	if len(image.Policies) == 0 {
		return e.Jobs.PullPolicy, nil
	}
	allowed := e.Jobs.AllowedPullPolicies
	if len(allowed) == 0 {
		allowed = e.Jobs.PullPolicy
	}
	var both []string
	for _, policy := range image.Policies {
		if slices.Contains(allowed, policy) {
			both = append(both, policy)
		}
	}
	if len(both) == 0 {
		return nil, &review.Failure{
			Kind:  review.Build,
			What:  fmt.Sprintf("image %s asks for pull policy %s; this host allows %s", review.Printable(image.Name, 200), strings.Join(image.Policies, ", "), strings.Join(allowed, ", ")),
			State: "nothing was changed",
			Hint:  fmt.Sprintf(`change "pull_policy:", or ask %s: the rule is jobs.allowed_pull_policies`, e.Policy.Contact),
		}
	}
	return both, nil
}

// checkOwner refuses what was built here for another project: its code and
// whatever is in it are not this project's to read.
func checkOwner(job Job, name string, image review.Image) error {
	owner := image.Labels[review.LabelProjectID]
	if owner == "" || owner == strconv.FormatInt(job.ProjectID, 10) {
		return nil
	}
	return &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf("image %s was built for another project's review app", review.Printable(name, 200)),
		State: "nothing was changed",
		Hint:  "use an image of your own project",
	}
}
