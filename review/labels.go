package review

// Labels on everything that is made in Podman. What carries LabelApp belongs to
// an app; what carries LabelJob and no LabelApp belongs to one CI job.
const (
	LabelApp         = "review-executor.app"
	LabelProject     = "review-executor.project"
	LabelProjectID   = "review-executor.project-id"
	LabelEnvironment = "review-executor.environment"
	LabelRef         = "review-executor.ref"
	LabelSHA         = "review-executor.sha"
	LabelJob         = "review-executor.job"
	LabelRole        = "review-executor.role"
	LabelRelease     = "review-executor.release" // of a companion: the one that it was started for
	LabelCompanion   = "review-executor.companion"
)

// Values of LabelRole.
const (
	RoleApp       = "app"
	RoleRelease   = "release" // the container of a release command
	RoleCompanion = "companion"
	RoleJob       = "job"
	RoleHelper    = "helper"
	RoleCache     = "cache"
)
