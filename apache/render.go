package apache

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"path"
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
func checkSite(site review.Site, domain string) error {
	if err := review.CheckLabel(site.Name); err != nil {
		return err
	}
	if site.Host != site.Name+"."+domain {
		return fmt.Errorf("host %s is not %s.%s", review.Printable(site.Host, 80), site.Name, domain)
	}
	if !releasePattern.MatchString(site.Release) {
		return fmt.Errorf("release %s is not made of letters, digits and hyphens", review.Printable(site.Release, 80))
	}
	if site.Root != "" {
		return checkRoot(site)
	}
	backend, err := netip.ParseAddrPort(site.Backend)
	if err != nil || !backend.Addr().IsLoopback() || backend.Addr().Zone() != "" || backend.Port() == 0 || backend.String() != site.Backend {
		return fmt.Errorf("backend %s is not an address and port on loopback", review.Printable(site.Backend, 80))
	}
	return nil
}

var rootPattern = regexp.MustCompile(`^(/[A-Za-z0-9._@+-]+)+$`)

// checkRoot refuses every directory but the one for the files of this release.
func checkRoot(site review.Site) error {
	own := path.Join("/sites", site.Name, site.Release)
	if site.Backend != "" || !rootPattern.MatchString(site.Root) || path.Clean(site.Root) != site.Root || !strings.HasSuffix(site.Root, own) {
		return fmt.Errorf("document root %s is not the directory …%s", review.Printable(site.Root, 80), own)
	}
	return nil
}

// renderSite returns the virtual host of one app. cfg must have no Problems.
func renderSite(cfg Config, domain string, site review.Site) ([]byte, error) {
	if err := checkSite(site, domain); err != nil {
		return nil, err
	}
	return execute("vhost.conf.tmpl", struct {
		Config
		Mark, Scheme string
		Site         review.Site
	}{cfg, mark, cfg.scheme(), site})
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
