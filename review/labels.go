package review

// Labels on everything that is made in Podman. What carries LabelApp belongs to
// an app; what carries the role job or helper belongs to one CI job.
const (
	LabelApp         = "review-executor.app"
	LabelProject     = "review-executor.project"
	LabelProjectID   = "review-executor.project-id"
	LabelEnvironment = "review-executor.environment"
	LabelRef         = "review-executor.ref"
	LabelSHA         = "review-executor.sha"
	LabelJob         = "review-executor.job"
	LabelRole        = "review-executor.role"
	LabelRelease     = "review-executor.release"
)

// Values of LabelRole.
const (
	RoleApp    = "app"
	RoleJob    = "job"
	RoleHelper = "helper"
)
