package executor

import (
	"errors"
	"fmt"

	"github.com/bmatcuk/doublestar/v4"
)

// Jobs is what CI jobs run in.
type Jobs struct {
	// Image of a job that names none with "image:".
	Image string `toml:"image"`
	// Image for git, cache and artifacts. It needs a shell, git, git-lfs and gitlab-runner-helper. {version} is the runner's, {arch} is x86_64 or arm64.
	HelperImage string `toml:"helper_image"`
}

// Policy decides on the host, not in anybody's YAML, what may be deployed.
type Policy struct {
	// Projects that may deploy, as patterns of their full path: "group/**".
	Projects []string `toml:"projects"`
	// Environments that become review apps, as patterns of their name. A job for any other environment is an ordinary job.
	Environments []string `toml:"environments"`
}

// JobDefaults are what works on a host with access to registries.
func JobDefaults() Jobs {
	return Jobs{
		Image:       "docker.io/library/debian:stable-slim",
		HelperImage: "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:{arch}-v{version}",
	}
}

// PolicyDefaults let every project that the runner serves deploy review
// environments.
func PolicyDefaults() Policy {
	return Policy{Projects: []string{"**"}, Environments: []string{"review/**"}}
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
	return problems
}

// Problems lists everything that is wrong, by key.
func (p Policy) Problems() []error {
	return append(checkPatterns("policy.projects", p.Projects), checkPatterns("policy.environments", p.Environments)...)
}

func checkPatterns(key string, patterns []string) []error {
	var problems []error
	for _, pattern := range patterns {
		if !doublestar.ValidatePattern(pattern) {
			problems = append(problems, fmt.Errorf("%s: %q is no pattern", key, pattern))
		}
	}
	return problems
}

// matchAny tells whether name matches one of the patterns, which were checked
// before.
func matchAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if doublestar.MatchUnvalidated(pattern, name) {
			return true
		}
	}
	return false
}
