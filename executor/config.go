package executor

import (
	"errors"
	"fmt"
	"slices"

	"gitlab.com/review-executor/review-executor/review"
)

// Jobs is what CI jobs run in.
type Jobs struct {
	// Image of a job that names none with "image:".
	Image string `toml:"image"`
	// Image for git, cache and artifacts. It needs a shell, git, git-lfs and gitlab-runner-helper. {version} is the runner's, {arch} is x86_64 or arm64.
	HelperImage string `toml:"helper_image"`
	// When the registry is asked for an image: "always", "if-not-present" or "never"; the next one counts where the one before fails. With anything but "always", a job can use images that another project's credentials have pulled.
	PullPolicy []string `toml:"pull_policy"`
	// What a job may ask for with "pull_policy:". Empty is the same as pull_policy.
	AllowedPullPolicies []string `toml:"allowed_pull_policies"`
	// How much a job's workspace may hold: "20GiB". It needs a store on XFS with project quotas; 0 is no limit.
	WorkspaceSize review.Bytes `toml:"workspace_size"`
}

// JobDefaults are what works on a host with access to registries.
func JobDefaults() Jobs {
	return Jobs{
		Image:       "docker.io/library/debian:stable-slim",
		HelperImage: "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:{arch}-v{version}",
		PullPolicy:  []string{review.PullAlways},
	}
}

// Problems lists everything that is wrong, by key.
func (j Jobs) Problems() []error {
	var problems []error
	if j.Image == "" {
		problems = append(problems, errors.New("jobs.image: must not be empty"))
	}
	if j.HelperImage == "" {
		problems = append(problems, errors.New("jobs.helper_image: must not be empty"))
	}
	if len(j.PullPolicy) == 0 {
		problems = append(problems, errors.New("jobs.pull_policy: must not be empty"))
	}
	problems = append(problems, checkPullPolicies("jobs.pull_policy", j.PullPolicy)...)
	return append(problems, checkPullPolicies("jobs.allowed_pull_policies", j.AllowedPullPolicies)...)
}

func checkPullPolicies(key string, policies []string) []error {
	var problems []error
	for _, policy := range policies {
		if !slices.Contains([]string{review.PullAlways, review.PullIfNotPresent, review.PullNever}, policy) {
			problems = append(problems, fmt.Errorf("%s: %q is not one of always, if-not-present and never", key, policy))
		}
	}
	return problems
}
