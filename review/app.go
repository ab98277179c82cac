// Package review knows what a review app is: its names, its record, and its
// life from deploy to stop. It imports nothing of ours and talks to containers
// and to the web server through the small interfaces that it declares.
//
// Start reading at Lifecycle.Deploy.
package review

import (
	"slices"
	"time"
)

// App is one environment of one project, at one host name for its whole life.
type App struct {
	Name        string `json:"name"`        // the host label, unique on this host: login-form
	Host        string `json:"host"`        // login-form.review.example.org
	ProjectID   int64  `json:"project_id"`  // with Environment, the app's identity
	Project     string `json:"project"`     // full path, for people: group/shop
	Environment string `json:"environment"` // review/login-form
}

// LocalProjects is below the numbers that "try" gives to projects, of which GitLab
// knows nothing.
const LocalProjects = 1 << 40

// Local tells whether a project is of "try", and not of GitLab.
func Local(projectID int64) bool { return projectID > LocalProjects }

// owns tells whether the record belongs to this very app and not to another
// one that wants the same host name.
func (a App) owns(other App) bool {
	return a.ProjectID == other.ProjectID && a.Environment == other.Environment
}

// Release is one version of an app: where it comes from, and everything that it
// takes to run it again but its environment, which is in Secrets.
type Release struct {
	ID       string    `json:"id"` // unique: commit and job, 3f2c1a9-4711
	Ref      string    `json:"ref"`
	SHA      string    `json:"sha"`
	Job      int64     `json:"job"`
	Pipeline int64     `json:"pipeline,omitempty"` // 0: not known
	Deployed time.Time `json:"deployed"`           // UTC, when it began to serve
	// Branch that the pipeline ran for, if it is the project's own: "" for a tag or a fork.
	Branch string `json:"branch,omitempty"`
	// MergeRequest whose pipeline it was; 0: none's.
	MergeRequest int64 `json:"merge_request,omitempty"`
	// JobURL is the job's page in GitLab, and User the login name of who started it; "": not known.
	JobURL string `json:"job_url,omitempty"`
	User   string `json:"user,omitempty"`
	// Requested is when the pipeline was created, by GitLab's clock; zero: not known.
	Requested time.Time `json:"requested,omitzero"`

	Image   string `json:"image,omitempty"`   // image ID; "": a static site
	Static  bool   `json:"static,omitempty"`  // files that the front serves itself
	Backend string `json:"backend,omitempty"` // address on loopback: 127.0.0.1:34817
	// Socket tells that Backend is a supervisor's socket, and that the container, which may sleep, is behind it.
	Socket bool `json:"socket,omitempty"`

	Port           uint16        `json:"port,omitempty"`            // that the app listens on in its container
	Command        []string      `json:"command,omitempty"`         // nil: the image's
	ReleaseCommand []string      `json:"release_command,omitempty"` // nil: none
	Volumes        []string      `json:"volumes,omitempty"`         // paths in the container
	HealthPath     string        `json:"health_path,omitempty"`
	HealthTimeout  time.Duration `json:"health_timeout,omitempty"` // nanoseconds
	PublicPaths    []string      `json:"public_paths,omitempty"`   // that need no password
	Memory         Bytes         `json:"memory,omitempty"`         // 0: the host's
	CPUs           float64       `json:"cpus,omitempty"`           // 0: the host's
	SleepAfter     SleepAfter    `json:"sleep_after,omitempty"`    // nanoseconds; 0: the host's
	Companions     []Companion   `json:"companions,omitempty"`
}

// Companion is a container that lives as long as its app and is found under its
// aliases in the app's network: a database, a queue.
type Companion struct {
	Name       string   `json:"name"`  // unique in its app
	Since      string   `json:"since"` // the release that its container was started for
	Image      string   `json:"image"` // image ID
	From       string   `json:"from"`  // the image's name, for people
	Aliases    []string `json:"aliases,omitempty"`
	User       string   `json:"user,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"` // nil: the image's
	Command    []string `json:"command,omitempty"`    // nil: the image's
	Volumes    []string `json:"volumes,omitempty"`    // paths in the container, kept when it is replaced
	Ports      []uint16 `json:"ports,omitempty"`      // one of them is open once it is ready
}

// Pending is a release whose job has been prepared and that is not deployed yet.
type Pending struct {
	Release
	// Owner names whom it lives and dies with. Lifecycle.Gone understands it.
	Owner string `json:"owner"`
}

// Record is what should exist of an app. It never holds a secret.
type Record struct {
	Version int `json:"version"`
	App
	// Live is the release that serves; without an ID, none does yet.
	Live Release `json:"live,omitzero"`
	// Previous is the one before, kept for a rollback.
	Previous *Release `json:"previous,omitempty"`
	// Pipeline is the newest that was deployed: none before it may be any more.
	Pipeline int64 `json:"pipeline,omitempty"`
	// IDs are the user IDs that the app's containers have, as State tells them: the
	// files on its volumes are theirs.
	IDs string `json:"ids,omitempty"`
	// Unreleased tells that a volume was lost, so that the release command is to run
	// before the app starts again.
	Unreleased bool `json:"unreleased,omitempty"`
	// Pending are the releases to come, whose companions are there already.
	Pending []Pending `json:"pending,omitempty"`
	// Pinned apps stay, whatever the forge says.
	Pinned bool `json:"pinned,omitempty"`
	// AutoStop is when the environment's auto_stop_in is over, as the forge has last
	// told; zero: never.
	AutoStop time.Time `json:"auto_stop,omitzero"`
	// MergeRequest that has a comment about the app; 0: none.
	MergeRequest int64 `json:"merge_request,omitempty"`
	// Missing is since when the forge does not know the app's project; zero: it does.
	Missing time.Time `json:"missing,omitzero"`
	// Stopping is an app on its way out: the front does not serve it. Why tells the reason.
	Stopping bool   `json:"stopping,omitempty"`
	Why      string `json:"why,omitempty"`
}

// Serves tells whether there is a release that should serve.
func (r Record) Serves() bool { return r.Live.ID != "" && !r.Stopping }

// releases are all that the record names: nothing else may exist of the app.
func (r Record) releases() []Release {
	var all []Release
	if r.Live.ID != "" {
		all = append(all, r.Live)
	}
	if r.Previous != nil {
		all = append(all, *r.Previous)
	}
	for _, p := range r.Pending {
		all = append(all, p.Release)
	}
	return all
}

// keepsImage tells whether a release's image, files and environment are needed.
func (r Record) keeps(release string) bool {
	return slices.ContainsFunc(r.releases(), func(one Release) bool { return one.ID == release })
}

// runs tells whether the record wants the companion that was started for the
// release since.
func (r Record) runs(companion, since string) bool {
	wanted := func(c Companion) bool { return c.Name == companion && c.Since == since }
	if slices.ContainsFunc(r.Live.Companions, wanted) {
		return true
	}
	return slices.ContainsFunc(r.Pending, func(p Pending) bool { return slices.ContainsFunc(p.Companions, wanted) })
}

// without is the record without the job's pending release.
func (r Record) without(job int64) Record {
	r.Pending = slices.DeleteFunc(slices.Clone(r.Pending), func(p Pending) bool { return p.Job == job })
	return r
}

// Site is what the front needs to know of an app to publish it.
type Site struct {
	Name    string // names the virtual host's file
	Host    string
	Project string // full path
	Release string // sent as X-Review-Release, so that a change of front can be seen from outside
	Backend string // address on loopback that requests go to; "": the site is files
	Root    string // directory of the files that the front serves itself; "": the site has a backend
	Sleeps  bool   // the backend is a socket that wakes it
	// PublicPaths need no password. One that ends in "/*" means all paths below it.
	PublicPaths []string
}
