package executor

import (
	"fmt"

	"gitlab.com/review-executor/review-executor/review"
)

// allowed applies the host's policy to what the job asks for. It looks at
// trusted fields only.
func (e *Executor) allowed(job Job) error {
	if !e.deploys(job) || matchAny(e.Policy.Projects, job.Project) {
		return nil // whoever was allowed to deploy may always stop
	}
	return &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf("project %s may not deploy review apps on this host", job.Project),
		State: "nothing was changed",
		Hint:  "ask the host's administrator: the rule is policy.projects",
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
