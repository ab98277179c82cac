// Package review knows what a review app is: its names, its record, and its
// life from deploy to stop. It imports nothing of ours and talks to containers
// and to the web server through the small interfaces that it declares.
//
// Start reading at Lifecycle.Deploy.
package review

import "time"

// App is one environment of one project, at one host name for its whole life.
type App struct {
	Name        string `json:"name"`        // the host label, unique on this host: login-form
	Host        string `json:"host"`        // login-form.review.example.org
	ProjectID   int64  `json:"project_id"`  // with Environment, the app's identity
	Project     string `json:"project"`     // full path, for people: group/shop
	Environment string `json:"environment"` // review/login-form
}

// owns tells whether the record belongs to this very app and not to another
// one that wants the same host name.
func (a App) owns(other App) bool {
	return a.ProjectID == other.ProjectID && a.Environment == other.Environment
}

// Release is one deployed version of an app.
type Release struct {
	ID       string    `json:"id"` // unique: commit and job, 3f2c1a9-4711
	Ref      string    `json:"ref"`
	SHA      string    `json:"sha"`
	Job      int64     `json:"job"`
	Image    string    `json:"image"`    // image ID
	Backend  string    `json:"backend"`  // address on loopback: 127.0.0.1:34817
	Deployed time.Time `json:"deployed"` // UTC
}

// Record is what should exist of an app. It never holds a secret.
type Record struct {
	Version int `json:"version"`
	App
	Live Release `json:"live"`
	// Stopping is an app on its way out: the front does not serve it.
	Stopping bool `json:"stopping,omitempty"`
}

// Site is what the front needs to know of an app to publish it.
type Site struct {
	Name    string // names the virtual host's file
	Host    string
	Release string // sent as X-Review-Release, so that a change of front can be seen from outside
	Backend string // address on loopback that requests go to; "": the site is files
	Root    string // directory of the files that the front serves itself; "": the site has a backend
}

func (r Record) site() Site {
	return Site{Name: r.Name, Host: r.Host, Release: r.Live.ID, Backend: r.Live.Backend}
}
