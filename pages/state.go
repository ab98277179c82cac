package pages

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// states are the pages of all hosts, by file name. An app hides the end of an
// earlier one of its name; what is not one label under the domain has no page.
func (p *Pages) states(apps []app, ended []ending) (map[string][]byte, error) {
	pages := make(map[string][]byte, len(apps)+len(ended))
	add := func(host string, page statePage) error {
		if _, there := pages[host+".html"]; there || !p.owns(host) {
			return nil
		}
		page.Head, page.Index = stateHead(), checkedLink(p.Index)
		var b bytes.Buffer
		if err := templates().ExecuteTemplate(&b, "state.html.tmpl", page); err != nil {
			return err
		}
		pages[host+".html"] = b.Bytes()
		return nil
	}
	for i := range apps {
		a := &apps[i]
		if err := add(a.host, statePage{App: a, Refresh: a.Deploying != nil || a.State == "deploying"}); err != nil {
			return nil, err
		}
	}
	for i := range ended {
		if err := add(ended[i].host, statePage{Ended: &ended[i]}); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// owns tells whether host is one label under the domain.
func (p *Pages) owns(host string) bool {
	label, found := strings.CutSuffix(host, "."+p.domain)
	return found && review.CheckLabel(label) == nil
}

// generator is in all our pages, near their beginning.
const generator = `<meta name="generator" content="review-executor">`

// removeStates removes the state pages that are not wanted. Files that we have not
// written stay.
func (p *Pages) removeStates(wanted map[string][]byte) error {
	dir := filepath.Join(p.dir, "state")
	there, err := regularFiles(dir)
	if err != nil {
		return err
	}
	var problems []error
	for name := range there {
		host, page := strings.CutSuffix(name, ".html")
		if wanted[name] != nil || !page || !p.owns(host) || !ours(filepath.Join(dir, name)) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove the page of %s: %w", host, err))
		}
	}
	return errors.Join(problems...)
}

func ours(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	start, err := io.ReadAll(io.LimitReader(f, 512))
	return err == nil && bytes.Contains(start, []byte(generator))
}
