package review

import (
	"context"
	"time"
)

// Forge is where projects, branches, environments and merge requests are:
// GitLab. Whatever it cannot tell for certain is an error, and then nothing is
// removed on its word.
type Forge interface {
	// Survey tells what there is of a project.
	Survey(ctx context.Context, query Query) (Survey, error)
	// StopEnvironment stops an environment without running its on_stop job. One that is stopped already, or gone, is no error.
	StopEnvironment(ctx context.Context, projectID int64, environment string) error
	// Note writes the app's one comment on a merge request, in the place of the one before. The text is Markdown.
	Note(ctx context.Context, projectID, mergeRequest int64, app, text string) error
}

// Query asks for all of a project, or for what concerns one app.
type Query struct {
	ProjectID int64
	// Since leaves out merge requests that have not changed since.
	Since time.Time
	// App, if set, asks for its branch, its environment, and the merge requests of
	// either its branch or its number alone, each by name.
	App *Source
}

// Source is where an app comes from, as the forge knows it.
type Source struct {
	Environment  string
	Branch       string // "": a tag, or a branch of a fork
	MergeRequest int64  // 0: the pipeline is no merge request's
}

// Survey is what there is of a project, or, asked for one app, of that.
type Survey struct {
	// Missing tells that there is no such project, or that we may not see it.
	Missing bool
	// SeesAll tells that we may see every project, so that a missing one is gone.
	SeesAll bool
	// Closed tells that the project is archived or about to be deleted.
	Closed bool
	// Branches are those that exist, by name.
	Branches map[string]bool
	// Environments by name. One that is not there was deleted; asked for all, stopped ones may be left out.
	Environments map[string]ForgeEnvironment
	// MergeRequests of the project. Asked for all: those that have changed since Query.Since.
	MergeRequests []MergeRequest
}

// ForgeEnvironment is an environment as the forge has it.
type ForgeEnvironment struct {
	State    string    // available, stopping or stopped
	AutoStop time.Time // zero: never
	Updated  time.Time // when anything of it has changed; zero: not known
}

// MergeRequest is one whose pipelines may deploy apps.
type MergeRequest struct {
	Number int64 // IID
	Branch string
	Fork   bool      // the branch is in another project
	State  string    // opened, closed, merged or locked
	Ended  time.Time // when it was closed or merged; zero: it is open
}

// What an Event tells.
const (
	BranchDeleted      = "branch deleted"
	MergeRequestMerged = "merge request merged"
	MergeRequestClosed = "merge request closed"
	EnvironmentChanged = "environment changed" // or a deployment to it: ask what has become of it
	ProjectDeleted     = "project deleted"
	ProjectArchived    = "project archived" // of a mirror; GitLab's says that something has changed
)

// Event is the news that something may have ended. Its sender knows the secret of
// the webhook, and no more is known of it.
type Event struct {
	ID           string    `json:"id"` // the same when it is sent again
	Kind         string    `json:"kind"`
	Mirror       bool      `json:"mirror,omitempty"`        // from a mirror: GitLab may not know yet
	ProjectID    int64     `json:"project_id,omitempty"`    // 0: Project tells
	Project      string    `json:"project,omitempty"`       // full path
	Branch       string    `json:"branch,omitempty"`        // of BranchDeleted, and the source branch of merge requests
	MergeRequest int64     `json:"merge_request,omitempty"` // IID
	Environment  string    `json:"environment,omitempty"`
	Received     time.Time `json:"received"` // UTC
}
