package pages

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// statePage is what state.html.tmpl shows: an app, or one that is gone.
type statePage struct {
	Head    template.HTML
	Index   string
	Refresh bool // the page changes soon by itself
	App     *app
	Ended   *ending
}

// states are the pages of all hosts. An app hides the end of an earlier one of its
// name; what is not one label under the domain has no page.
func (p *Pages) states(apps []app, ended []ending, lines list) map[string]file {
	pages := make(map[string]file, len(apps)+len(ended))
	add := func(host string, source []byte, page statePage) {
		name := stateFile(host)
		if _, there := pages[name]; !there && p.owns(host) {
			pages[name] = file{source, func() ([]byte, error) { return p.state(page) }}
		}
	}
	for i := range apps {
		a := &apps[i]
		add(a.host, lines.apps[i], statePage{App: a, Refresh: a.Deploying != nil || a.State == "deploying"})
	}
	for i := range ended {
		add(ended[i].host, lines.ended[i], statePage{Ended: &ended[i]})
	}
	return pages
}

func (p *Pages) state(page statePage) ([]byte, error) { return p.render("state.html.tmpl", page) }

// render makes a page that looks like those of states.
func (p *Pages) render(name string, page statePage) ([]byte, error) {
	page.Head, page.Index = stateHead(), checkedLink(p.Index)
	var b bytes.Buffer
	err := templates().ExecuteTemplate(&b, name, page)
	return b.Bytes(), err
}

func stateFile(host string) string { return "state/" + host + ".html" }

// owns tells whether host is one label under the domain.
func (p *Pages) owns(host string) bool {
	label, found := strings.CutSuffix(host, "."+p.domain)
	return found && review.CheckLabel(label) == nil
}

// generator is in all our pages, near their beginning.
const generator = `<meta name="generator" content="review-executor">`

// removeStates removes the state pages that are there and not wanted. Files that
// we have not written stay.
func (p *Pages) removeStates(root *os.Root, there map[string]bool, wanted map[string]file) error {
	var problems []error
	for name := range there {
		host, page := strings.CutSuffix(strings.TrimPrefix(name, "state/"), ".html")
		_, keep := wanted[name]
		if keep || !page || name != stateFile(host) || !p.owns(host) || !ours(root, name) {
			continue
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove the page of %s: %w", host, err))
		}
	}
	return errors.Join(problems...)
}

func ours(root *os.Root, name string) bool {
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	start, err := io.ReadAll(io.LimitReader(f, 512))
	return err == nil && bytes.Contains(start, []byte(generator))
}
