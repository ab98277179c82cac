package pages

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
)

// project is a group of apps on the index page.
type project struct {
	Path string
	Apps []app
}

// indexPage is what index.html.tmpl shows.
type indexPage struct {
	Head     template.HTML
	Domain   string
	Tally    string
	Count    int
	Projects []project
	Ended    []ending
}

func (p *Pages) index(apps []app, ended []ending) ([]byte, error) {
	page := indexPage{
		Head:     indexHead(),
		Domain:   p.domain,
		Tally:    tally(apps),
		Count:    len(apps),
		Projects: byProject(apps),
		Ended:    recent(ended),
	}
	var b bytes.Buffer
	err := templates().ExecuteTemplate(&b, "index.html.tmpl", page)
	return b.Bytes(), err
}

// byProject groups apps that are sorted by project.
func byProject(apps []app) []project {
	var groups []project
	for _, a := range apps {
		if last := len(groups) - 1; last < 0 || groups[last].Path != a.Project {
			groups = append(groups, project{Path: a.Project})
		}
		last := &groups[len(groups)-1]
		last.Apps = append(last.Apps, a)
	}
	return groups
}

// states of an app, in the order in which they are told.
var states = []string{"live", "deploying", "failed", "stopping"}

// tally says how many apps are in which state.
func tally(apps []app) string {
	count := countStates(apps)
	parts := make([]string, 0, len(states))
	for _, state := range states {
		if n := count[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	text := strings.Join(parts, ", ")
	if n := liveFailures(apps); n > 0 {
		text += fmt.Sprintf("; the last deploy of %d failed", n)
	}
	return text
}

func countStates(apps []app) map[string]int {
	count := map[string]int{}
	for _, a := range apps {
		count[a.State]++
	}
	return count
}

// liveFailures counts the apps that go on with the version before a failed deploy.
func liveFailures(apps []app) int {
	n := 0
	for _, a := range apps {
		if a.LastFailure != nil && a.State != "failed" {
			n++
		}
	}
	return n
}
