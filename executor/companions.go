package executor

import (
	"context"
	"slices"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// companioned tells whether the job's services are its app's: they outlive the
// job. A static site has no use for them.
func (e *Executor) companioned(job Job) bool {
	if !e.deploys(job) || len(job.Services) == 0 {
		return false
	}
	settings, _, err := e.settings()
	return err == nil && settings.Static == ""
}

// prepareApp starts the companions of the job's app.
func (e *Executor) prepareApp(ctx context.Context, job Job, images []review.Image) (review.Prepared, error) {
	settings, _, err := e.settings()
	if err != nil {
		return review.Prepared{}, err
	}
	req := e.request(job, settings)
	req.Companions, req.CompanionEnvs = e.companions(job, images)
	req.Owner = e.owner()
	return e.Apps.Prepare(ctx, req)
}

// companions are the job's services as companions of its app.
func (e *Executor) companions(job Job, images []review.Image) ([]review.Companion, map[string]map[string]string) {
	asked := e.services(job)
	aliases := e.aliases(asked)
	var companions []review.Companion
	envs := map[string]map[string]string{}
	for i, service := range asked {
		if len(aliases[i]) == 0 {
			continue // nothing would find it; a warning has said so
		}
		c := review.Companion{
			Name:       slices.MinFunc(aliases[i], func(a, b string) int { return len(a) - len(b) }),
			Image:      images[i].ID,
			From:       review.Printable(service.Name, 200),
			Aliases:    aliases[i],
			User:       service.User,
			Entrypoint: service.Entrypoint,
			Command:    service.Command,
			Volumes:    images[i].Volumes,
			Ports:      servicePorts(service, images[i]),
		}
		companions = append(companions, c)
		envs[c.Name] = e.serviceEnv(job, service, lasting)
	}
	return companions, envs
}

// passing are the beginnings of variables that tell of one job or one commit: with
// them, no companion would be the same in the next deploy.
var passing = []string{"CI_", "GITLAB_", "REVIEW_", "RUNNER_", "FF_", "GIT_", "TRIGGER_", "CHAT_", "KUBE", "SECRETS_"}

// lasting tells whether a variable is one that the project has set.
func lasting(name string) bool {
	return name != "CI" && !slices.ContainsFunc(passing, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
