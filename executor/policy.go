package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"gitlab.com/review-executor/review-executor/review"
)

// Policy decides on the host, not in anybody's YAML, who may do what. Patterns
// are as in .gitignore: * stops at a slash, ** does not.
type Policy struct {
	// Projects that may use this host, as patterns of their full path: "group/**".
	Projects []string `toml:"projects"`
	// Environments that become review apps, as patterns of their name. A job for any other environment is an ordinary job.
	Environments []string `toml:"environments"`
	// Refs that may deploy to an environment, by pattern of its name: {"review/release-*" = ["release/*"]}. An environment that no pattern names may be deployed to from any ref.
	Refs map[string][]string `toml:"refs"`
	// Environments that only protected refs may deploy to, as patterns of their name.
	Protected []string `toml:"protected"`
	// Access level that whoever starts a deploying job must have in the project, asked from GitLab: guest, planner, reporter, developer, maintainer or owner. "" asks nobody.
	MinAccessLevel string `toml:"min_access_level"`
	// Whether merge requests from forks may use this host.
	Forks bool `toml:"forks"`
	// Images that jobs may run in, as patterns: "registry.example.org/**". The host's default is always allowed.
	Images []string `toml:"images"`
	// Images that jobs may have as services, as patterns.
	Services []string `toml:"services"`
	// Whom a developer should ask who was refused.
	Contact string `toml:"contact"`
}

// PolicyDefaults let every project that the runner serves deploy review
// environments, but no fork.
func PolicyDefaults() Policy {
	return Policy{
		Projects:     []string{"**"},
		Environments: []string{"review/**"},
		Images:       []string{"**"},
		Services:     []string{"**"},
		Contact:      "the host's administrator",
	}
}

// Problems lists everything that is wrong, by key.
func (p Policy) Problems() []error {
	var problems []error
	for key, patterns := range map[string][]string{
		"projects": p.Projects, "environments": p.Environments, "protected": p.Protected, "images": p.Images, "services": p.Services,
	} {
		problems = append(problems, checkPatterns("policy."+key, patterns)...)
	}
	if p.MinAccessLevel != "" && accessLevels[p.MinAccessLevel] == 0 {
		problems = append(problems, fmt.Errorf("policy.min_access_level: %q is none of %s", p.MinAccessLevel, strings.Join(accessLevelNames(), ", ")))
	}
	for environment, refs := range p.Refs {
		problems = append(problems, checkPatterns("policy.refs", append([]string{environment}, refs...))...)
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
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
	return slices.ContainsFunc(patterns, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, name) })
}

// allowed applies the host's policy to what the job asks for. Who the job is
// comes from trusted fields only. Whoever was allowed to deploy may always stop.
func (e *Executor) allowed(ctx context.Context, job Job) error {
	if e.stops(job) {
		return nil
	}
	if !matchAny(e.Policy.Projects, job.Project) {
		return e.denied("projects", "project %s may not use this host", job.Project)
	}
	if job.Fork && !e.Policy.Forks {
		return e.denied("forks", "this merge request comes from a fork of %s, and forks may not use this host", job.Project)
	}
	if e.deploys(job) {
		if err := e.mayDeploy(ctx, job); err != nil {
			return err
		}
	}
	return e.allowedImages(job)
}

func (e *Executor) mayDeploy(ctx context.Context, job Job) error {
	if matchAny(e.Policy.Protected, job.Environment.Name) && !job.Protected {
		return e.denied("protected", "only protected branches may deploy to %s, and %s is not one", job.Environment.Name, job.Ref)
	}
	for environments, refs := range e.Policy.Refs {
		if doublestar.MatchUnvalidated(environments, job.Environment.Name) && !matchAny(refs, job.Ref) {
			return e.denied("refs", "%s may not deploy to %s: only %s may", job.Ref, job.Environment.Name, strings.Join(refs, ", "))
		}
	}
	return e.checkAccess(ctx, job)
}

func (e *Executor) allowedImages(job Job) error {
	if err := e.allowedImage(e.image(job).Name); err != nil {
		return err
	}
	for _, service := range e.services(job) {
		if !matchAny(e.Policy.Services, service.Name) {
			return e.denied("services", "service %s may not be used on this host: only %s may", service.Name, strings.Join(e.Policy.Services, ", "))
		}
	}
	return nil
}

func (e *Executor) allowedImage(image string) error {
	if image != e.Jobs.Image && !matchAny(e.Policy.Images, image) {
		return e.denied("images", "image %s may not be used on this host: only %s may", image, strings.Join(e.Policy.Images, ", "))
	}
	return nil
}

func (e *Executor) denied(rule, what string, args ...any) error {
	return &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf(what, args...),
		State: "nothing was changed",
		Hint:  fmt.Sprintf("ask %s: the rule is policy.%s", e.Policy.Contact, rule),
	}
}

// reviews tells whether the job's environment is one that becomes a review app.
func (e *Executor) reviews(job Job) bool {
	return job.Environment.Name != "" && matchAny(e.Policy.Environments, job.Environment.Name)
}

// deploys and stops tell what becomes of the job's app. The actions prepare,
// verify and access leave it alone.
func (e *Executor) deploys(job Job) bool {
	return e.reviews(job) && job.Environment.Action == "start"
}

func (e *Executor) stops(job Job) bool {
	return e.reviews(job) && job.Environment.Action == "stop"
}
