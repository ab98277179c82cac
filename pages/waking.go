package pages

// waking is the page in the place of an app that sleeps and takes long to wake. It is the same
// for all: whether one sleeps changes without a word to us.
func (p *Pages) waking() ([]byte, error) { return p.render("waking.html.tmpl", statePage{}) }
