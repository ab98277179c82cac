package apache

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// sent is a front that only takes what it is sent.
type sent struct {
	review.Front
	sites []review.Site
}

func (s *sent) Apply(_ context.Context, sites []review.Site, _ []string) (map[string]error, error) {
	s.sites = sites
	return map[string]error{}, nil
}

// steering is what means something to Apache's parser.
const steering = "\n\r\x00\"'<>\\${}%#`|"

// FuzzRecord has any bytes for a record: what comes of it is a virtual host like any
// other app's, or none.
func FuzzRecord(f *testing.F) {
	good := review.Record{
		Version: 2,
		App:     review.App{Name: "login", Host: "login." + domain, ProjectID: 42, Project: "group/shop", Environment: "review/login"},
		Live:    review.Release{ID: "3f2c1a9-4711", Ref: "login", SHA: "3f2c1a9", Job: 4711, Backend: "127.0.0.1:8080", PublicPaths: []string{"/hooks/*"}},
	}
	add := func(r review.Record) {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	add(good)
	static := good
	static.Live.Static, static.Live.Backend = true, ""
	add(static)
	for _, hostile := range []string{
		"", "x\"", "x\n</VirtualHost>\nLoadModule x /tmp/x.so", "127.0.0.1:8080\nInclude /tmp/x", "../../../etc", "${HOME}", "%{ENV:PATH}", "x\\\n", "x\x00y",
		"127.0.0.1:22", "127.0.0.1:1023", "0.0.0.0:8080", "192.0.2.1:8080", "localhost:8080", "unix:/run/docker.sock|http://x", "[::1%lo]:8080", "127.0.0.1:8080/x",
	} {
		for i := range 6 {
			r := good
			r.Live.PublicPaths = []string{"/a"}
			*[]*string{&r.Host, &r.Project, &r.Live.ID, &r.Live.Backend, &r.Live.PublicPaths[0], &r.Live.Ref}[i] = hostile
			add(r)
			r.Live.Static = true
			add(r)
		}
	}
	f.Add([]byte(`{"version": 2, "name": "login", "live": {"id": 1}}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		dir := t.TempDir()
		state := filepath.Join(dir, "state")
		if err := os.MkdirAll(filepath.Join(state, "apps"), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, "apps", "login.json"), record, 0o640); err != nil {
			t.Fatal(err)
		}
		cfg := Defaults()
		cfg.VhostDir = filepath.Join(dir, "vhosts")
		if err := os.Mkdir(cfg.VhostDir, 0o755); err != nil {
			t.Fatal(err)
		}
		var got sent
		l := review.Lifecycle{Records: review.NewRecords(state), Front: &got, Domain: domain}
		if _, err := l.RunFront(t.Context(), cfg.Results()); err != nil {
			t.Fatal(err)
		}
		r := renders(t, New(cfg, domain, filepath.Join(state, "sites"), nil))
		for _, site := range got.sites {
			vhost, err := r.renderSite(site)
			if err != nil {
				continue
			}
			plain := review.Site{Name: "login", Host: "login." + domain, Release: "1111111-1", PublicPaths: make([]string, len(site.PublicPaths))}
			for i, path := range site.PublicPaths {
				plain.PublicPaths[i] = "/a" + strings.Repeat("/*", strings.Count(path, "*"))
			}
			if plain.Backend = "127.0.0.1:8080"; site.Root != "" {
				plain.Backend, plain.Root = "", filepath.Join(state, "sites", "login", "1111111-1")
			}
			like, err := r.renderSite(plain)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range steering {
				if strings.Count(string(vhost), string(one)) != strings.Count(string(like), string(one)) {
					t.Errorf("%q of the record is for Apache's parser:\n%s", one, vhost)
				}
			}
		}
	})
}

// TestCheckSite_PortsOfTheHostAreNoApps: what listens below 1024 is root's.
func TestCheckSite_PortsOfTheHostAreNoApps(t *testing.T) {
	for backend, fine := range map[string]bool{"127.0.0.1:1024": true, "[::1]:65535": true, "127.0.0.1:1023": false, "127.0.0.1:22": false, "127.0.0.1:0": false} {
		if err := checkBackend(backend); (err == nil) != fine {
			t.Errorf("%s: %v", backend, err)
		}
	}
}

func TestCheckSite_FilesAreReachedThroughNoLink(t *testing.T) {
	for name, link := range map[string]string{"sites": ".", "app": "login", "release": "login/3f2c1a9-4711"} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			dir := filepath.Join(state, "sites")
			own := filepath.Join(dir, "login", "3f2c1a9-4711")
			site := review.Site{Name: "login", Host: "login." + domain, Release: "3f2c1a9-4711", Root: own}
			front := New(testConfig(), domain, dir, nil)
			if err := front.checkSite(site); err != nil {
				t.Errorf("without files: %v", err)
			}
			if err := os.MkdirAll(own, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := front.checkSite(site); err != nil {
				t.Errorf("with files: %v", err)
			}
			at := filepath.Join(dir, link)
			if err := os.Rename(at, filepath.Join(state, "elsewhere")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(state, "elsewhere"), at); err != nil {
				t.Fatal(err)
			}
			if err := front.checkSite(site); err == nil {
				t.Error("files behind a link are served")
			}
		})
	}
}
