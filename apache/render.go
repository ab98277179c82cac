package apache

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"gitlab.com/review-executor/review-executor/review"
)

// mark is the first line of every file that we write. Files without it are
// somebody else's and are left alone.
const mark = "# Written by review-executor. Changes are overwritten."

//go:embed *.conf.tmpl
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "*.conf.tmpl"))

var releasePattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

// checkSite refuses whatever would mean more to Apache's parser than a name,
// an address and an identifier. Records are data that others may have written.
func (f *Front) checkSite(site review.Site) error {
	if err := review.CheckLabel(site.Name); err != nil {
		return err
	}
	if site.Host != site.Name+"."+f.domain {
		return fmt.Errorf("host %s is not %s.%s", review.Printable(site.Host, 80), site.Name, f.domain)
	}
	if !releasePattern.MatchString(site.Release) {
		return fmt.Errorf("release %s is not made of letters, digits and hyphens", review.Printable(site.Release, 80))
	}
	if (site.Backend == "") == (site.Root == "") {
		return errors.New("a site has either a backend or a directory of files")
	}
	if site.Root != "" {
		return f.checkRoot(site)
	}
	return checkBackend(site.Backend)
}

func checkBackend(address string) error {
	backend, err := netip.ParseAddrPort(address)
	if err != nil || !backend.Addr().IsLoopback() || backend.Addr().Zone() != "" || backend.Port() == 0 || backend.String() != address {
		return fmt.Errorf("backend %s is not an address and port on loopback", review.Printable(address, 80))
	}
	return nil
}

// checkRoot keeps every other directory of the host from being served, and other
// apps' too.
func (f *Front) checkRoot(site review.Site) error {
	if err := checkPath(site.Root); err != nil {
		return fmt.Errorf("directory of files: %w", err)
	}
	if own := filepath.Join(f.sites, site.Name, site.Release); site.Root != own {
		return fmt.Errorf("directory of files %s is not %s", review.Printable(site.Root, 200), own)
	}
	return nil
}

// renderSite returns the virtual host of one app.
func (f *Front) renderSite(site review.Site) ([]byte, error) {
	if err := f.checkSite(site); err != nil {
		return nil, err
	}
	return execute("vhost.conf.tmpl", struct {
		Config
		Mark, Scheme string
		Site         review.Site
	}{f.cfg, mark, f.cfg.scheme(), site})
}

// renderUnknown returns the two virtual hosts that answer 404 for a host that
// is no app, by file name. One stands before all apps: Apache sends names that
// it does not know to its first host, which must not be an app. The other
// stands behind them, so that the domain's other names are answered even when
// a site of somebody else comes first.
func renderUnknown(cfg Config, domain string) (map[string][]byte, error) {
	type unknown struct {
		Config
		Mark, Comment, ServerName, ServerAlias string
	}
	first, err := execute("unknown.conf.tmpl", unknown{cfg, mark, "Any host name that Apache does not know.", "unknown.invalid", ""})
	if err != nil {
		return nil, err
	}
	last, err := execute("unknown.conf.tmpl", unknown{cfg, mark, "Names under the domain that are no review app.", domain, "*." + domain})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"00-unknown.conf": first, "zz-unknown.conf": last}, nil
}

func execute(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// siteFile and siteOf name the file of an app's virtual host and the app of a file.
func siteFile(app string) string { return "app-" + app + ".conf" }

func siteOf(file string) (app string, ok bool) {
	name, isApp := strings.CutPrefix(file, "app-")
	app, isConf := strings.CutSuffix(name, ".conf")
	return app, isApp && isConf
}

func (c Config) scheme() string {
	if c.tls() {
		return "https"
	}
	return "http"
}
