package reviewtest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"

	"gitlab.com/review-executor/review-executor/review"
)

// Front is a web server in memory, a review.Front. Get asks it as a browser
// would.
type Front struct {
	Fail Fault
	// Refuse is what the web server has against sites, by name.
	Refuse map[string]error
	// Stale makes Serves fail: the web server goes on with what it had.
	Stale error
	// Busy is a backend that somebody is connected to.
	Busy string

	mu      sync.Mutex
	sites   map[string]review.Site // by name
	drained []string
}

var _ review.Front = (*Front)(nil)

// Apply serves exactly these sites, and those named in keep as they are.
func (f *Front) Apply(ctx context.Context, sites []review.Site, keep []string) (map[string]error, error) {
	if err := f.Fail.before(ctx, "Apply"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	next, refused := map[string]review.Site{}, map[string]error{}
	for _, site := range sites {
		next[site.Name] = site
		if why := f.Refuse[site.Name]; why != nil {
			refused[site.Name] = why
			keep = append(slices.Clip(keep), site.Name)
		}
	}
	for _, name := range keep {
		delete(next, name)
		if site, there := f.sites[name]; there {
			next[name] = site
		}
	}
	f.sites = next
	return refused, nil
}

// Serves returns nil if the front has the site's release.
func (f *Front) Serves(ctx context.Context, site review.Site) error {
	if err := f.Fail.before(ctx, "Serves"); err != nil {
		return err
	}
	if f.Stale != nil {
		return f.Stale
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.sites[site.Name]; !reflect.DeepEqual(got, site) {
		return fmt.Errorf("%s serves %+v, not %+v", site.Host, got, site)
	}
	return nil
}

// Drain returns at once, but for Busy: no request of Get outlives it.
func (f *Front) Drain(ctx context.Context, backend string) {
	_ = f.Fail.before(ctx, "Drain")
	if backend == f.Busy {
		<-ctx.Done()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drained = append(f.drained, backend)
}

// Drained lists the backends that were drained, in order.
func (f *Front) Drained() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.drained)
}

// URL is where a browser finds the host.
func (f *Front) URL(host string) string { return "https://" + host }

// Warnings implements review.Front.
func (f *Front) Warnings(string) []string { return nil }

// Hosts lists what is served, sorted.
func (f *Front) Hosts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hosts []string
	for site := range maps.Values(f.sites) {
		hosts = append(hosts, site.Host)
	}
	slices.Sort(hosts)
	return hosts
}

// Get returns the page at the host's root, or else "404" or "503".
func (f *Front) Get(host string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for site := range maps.Values(f.sites) {
		if site.Host == host && site.Root != "" {
			return read(filepath.Join(site.Root, "index.html"))
		}
		if site.Host == host {
			return get("http://" + site.Backend + "/")
		}
	}
	return "404"
}

func read(file string) string {
	page, err := os.ReadFile(file)
	if err != nil {
		return "404"
	}
	return string(page)
}

func get(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return "503"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "503"
	}
	return string(body)
}
