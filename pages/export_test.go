package pages

import "gitlab.com/review-executor/review-executor/review"

// Render is what Write would write but the metrics, by path.
func (p *Pages) Render(o review.Overview) (map[string][]byte, error) {
	files, err := p.files(newApps(o.Apps), newEndings(o.Ended))
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for name, f := range files {
		if contents[name], err = f.render(); err != nil {
			return nil, err
		}
	}
	return contents, nil
}
