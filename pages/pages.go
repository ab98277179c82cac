// Package pages writes what people see beside the apps: an index of them, a page
// in the place of each that does not answer, the same for programs, and metrics.
//
// All of it is files that a web server sends as they are. Refs, names and reasons
// are strangers' words: they reach a page through html/template alone, and a link
// only if review.CheckLink lets it pass.
//
// Start reading at Pages.Write.
package pages

import (
	"errors"
	"fmt"
	"path/filepath"

	"gitlab.com/review-executor/review-executor/review"
)

// Pages are the files in one directory:
//
//	index/index.html   all apps
//	index/apps.json    the same for programs
//	state/HOST.html    in the place of an app that does not answer, or is gone
//	robots.txt         for all hosts
type Pages struct {
	// Index is where a browser finds the index page, for links to it; "": there are none.
	Index string

	dir     string
	domain  string
	metrics string
}

// New writes to dir what is to be known of the apps under the domain, and metrics
// to the file of that name, if it is not "".
func New(dir, domain, metrics string) *Pages {
	return &Pages{dir: dir, domain: domain, metrics: metrics}
}

const robots = "User-agent: *\nDisallow: /\n"

// Write brings the files to the overview. A file whose content stays is not
// touched; each other one is replaced atomically. What cannot be written keeps
// nothing else from being written.
func (p *Pages) Write(o review.Overview) error {
	apps, ended := p.apps(o.Apps), p.endings(o.Ended)
	index, err := p.index(apps, ended)
	if err != nil {
		return fmt.Errorf("render the index page: %w", err)
	}
	list, err := appsJSON(apps, ended)
	if err != nil {
		return fmt.Errorf("render apps.json: %w", err)
	}
	states, err := p.states(apps, ended)
	if err != nil {
		return fmt.Errorf("render the state pages: %w", err)
	}
	problems := []error{
		writeFiles(p.dir, map[string][]byte{"robots.txt": []byte(robots)}),
		writeFiles(filepath.Join(p.dir, "index"), map[string][]byte{"index.html": index, "apps.json": list}),
		writeFiles(filepath.Join(p.dir, "state"), states),
		p.removeStates(states),
	}
	if p.metrics != "" {
		problems = append(problems, writeMetrics(p.metrics, metrics(apps, len(ended))))
	}
	return errors.Join(problems...)
}
