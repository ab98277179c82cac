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

	"gitlab.com/review-executor/review-executor/review"
)

// Pages are the files in one directory:
//
//	index/index.html   all apps
//	index/apps.json    the same for programs
//	state/HOST.html    in the place of an app that does not answer, or is gone
//	waking.html        in the place of an app that takes long to wake
//	robots.txt         for all hosts
//	made.json          for the next write
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
	apps, ended := newApps(o.Apps), newEndings(o.Ended)
	files, err := p.files(apps, ended)
	if err != nil {
		return err
	}
	err = p.update(files)
	if p.metrics != "" {
		err = errors.Join(err, writeMetrics(p.metrics, metrics(apps, len(ended))))
	}
	return err
}

// files are all that are to be there but the metrics, by their path.
func (p *Pages) files(apps []app, ended []ending) (map[string]file, error) {
	lines, err := newList(apps, ended)
	if err != nil {
		return nil, err
	}
	all := lines.json()
	files := p.states(apps, ended, lines)
	files["robots.txt"] = file{nil, func() ([]byte, error) { return []byte(robots), nil }}
	files["waking.html"] = file{nil, p.waking}
	files["index/apps.json"] = file{all, func() ([]byte, error) { return all, nil }}
	files["index/index.html"] = file{all, func() ([]byte, error) { return p.index(apps, ended) }}
	return files, nil
}
