package apache

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// mark is the first line of every file that we write. Files without it are
// somebody else's and are left alone.
const mark = "# Written by review-executor. Changes are overwritten."

//go:embed *.conf.tmpl
var templateFiles embed.FS

// templates are read when the first is needed: most runs of the program need none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(templateFiles, "*.conf.tmpl"))
})

// vhostTemplate is the built-in template, or the administrator's in its place.
func vhostTemplate(cfg Config) (*template.Template, error) {
	if cfg.VhostTemplate == "" {
		return templates(), nil
	}
	text, err := os.ReadFile(cfg.VhostTemplate)
	if err == nil {
		var all *template.Template
		if all, err = template.Must(templates().Clone()).New("vhost.conf.tmpl").Parse(string(text)); err == nil {
			return all, nil
		}
	}
	return nil, &review.Failure{
		What:  "apache.vhost_template cannot be used",
		Cause: err,
		State: "the virtual hosts are as before and still serve",
		Hint:  "\"review-executor apache-config --template\" prints the built-in template to begin with",
	}
}

// projectPattern is of what GitLab's paths are made of; templates may use it.
var projectPattern = regexp.MustCompile(`^[A-Za-z0-9_./+-]{0,500}$`)

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
	if !projectPattern.MatchString(site.Project) {
		return fmt.Errorf("project %s is no path of a project", review.Printable(site.Project, 80))
	}
	if !releasePattern.MatchString(site.Release) {
		return fmt.Errorf("release %s is not made of letters, digits and hyphens", review.Printable(site.Release, 80))
	}
	if (site.Backend == "") == (site.Root == "") {
		return errors.New("a site has either a backend or a directory of files")
	}
	if len(site.PublicPaths) > review.MaxPublicPaths {
		return fmt.Errorf("%d public paths are more than %d", len(site.PublicPaths), review.MaxPublicPaths)
	}
	for _, path := range site.PublicPaths {
		if err := review.CheckPublicPath(path); err != nil {
			return fmt.Errorf("public paths: %w", err)
		}
	}
	if site.Root != "" {
		return f.checkRoot(site)
	}
	return checkBackend(site.Backend)
}

// checkBackend keeps services of the host, which have the low ports, from being served
// as apps.
func checkBackend(address string) error {
	backend, err := netip.ParseAddrPort(address)
	if err != nil || !backend.Addr().IsLoopback() || backend.Addr().Zone() != "" || backend.Port() < 1024 || backend.String() != address {
		return fmt.Errorf("backend %s is not an address on loopback with a port from 1024 on", review.Printable(address, 80))
	}
	return nil
}

// checkRoot keeps every other directory of the host from being served, and other
// apps' too.
func (f *Front) checkRoot(site review.Site) error {
	if err := CheckPath(site.Root); err != nil {
		return fmt.Errorf("directory of files: %w", err)
	}
	if own := filepath.Join(f.sites, site.Name, site.Release); site.Root != own {
		return fmt.Errorf("directory of files %s is not %s", review.Printable(site.Root, 200), own)
	}
	return checkReal(f.sites, site.Name, site.Release)
}

// checkReal refuses a directory that is reached through a link. One that is not
// there is served as such. Apache looks again, at every request.
func checkReal(sites, app, release string) error {
	path := sites
	for _, part := range []string{"", app, release} {
		path = filepath.Join(path, part)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("directory of files: %w", err)
		}
		if !info.IsDir() {
			return fmt.Errorf("directory of files: %s is no directory", path)
		}
	}
	return nil
}

// renderer is all that virtual hosts are rendered from.
type renderer struct {
	*Front
	template *template.Template // of an app
	tickets  tickets
	script   string // of the gate; "": none
}

func (f *Front) newRenderer(now time.Time) (r renderer, err error) {
	r.Front = f
	if r.template, err = vhostTemplate(f.cfg); err != nil {
		return r, err
	}
	if f.cfg.remembersPasswords() {
		r.script = f.cfg.script()
	}
	r.tickets, err = newTickets(f.cfg, now)
	return r, err
}

// render returns the files that should be there. A site that does not pass is
// in refused and has none.
func (f renderer) render(sites []review.Site) (want files, refused map[string]error, err error) {
	want, err = f.renderRest()
	if err != nil {
		return nil, nil, err
	}
	refused = map[string]error{}
	for _, site := range sites {
		vhost, err := f.renderSite(site)
		if err != nil {
			refused[site.Name] = err
			continue
		}
		want[siteFile(site.Name)] = vhost
	}
	return want, refused, nil
}

// Vhost is what a template of virtual hosts may use: the configuration by its Go
// names, and the methods and fields below. All of it was checked.
type Vhost struct {
	Config
	Mark   string // first line of each file
	Scheme string // that browsers use
	Port   string // that browsers use
	WWW    string // directory of the pages that are served beside the apps
	State  string // directory of the state, with the files of all static sites
	Site   review.Site
	// Cookie is the name of the ticket's, Ticket its value today and LastTicket yesterday.
	Cookie, Ticket, LastTicket string
	// Script remembers right passwords; "": none can.
	Script string
	// ProjectLogin names the provider of the project's own users; "": it has none.
	ProjectLogin string
}

// TimeoutSeconds is the timeout as Apache takes it.
func (v Vhost) TimeoutSeconds() int { return int(v.Timeout.Seconds()) }

// UploadBytes is the largest body as Apache takes it.
func (v Vhost) UploadBytes() int64 { return int64(v.MaxUpload) }

// PublicPatterns are regular expressions of the raw paths that need no password.
func (v Vhost) PublicPatterns() []string {
	patterns := make([]string, 0, len(v.Site.PublicPaths))
	for _, path := range v.Site.PublicPaths {
		patterns = append(patterns, publicPattern(path))
	}
	return patterns
}

// publicPattern is of plain characters alone: with an escape or a segment of dots a
// path may be another one to the app.
func publicPattern(path string) string {
	base, below := strings.CutSuffix(path, "/*")
	pattern := strings.ReplaceAll(base, ".", "[.]")
	if below {
		pattern += "(/(?![.]+(/|[?]| ))[A-Za-z0-9._~-]+)+/?"
	}
	return pattern
}

// foreignHeaders are what frameworks believe about a visitor or a path.
var foreignHeaders = withUnderscores([]string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Scheme",
	"X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host",
	"Front-End-Https", "Proxy", "Proxy-Authorization",
}, "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP")

// withUnderscores adds the spelling that many frameworks cannot tell from a name, of
// those that are ours to set, too.
func withUnderscores(names []string, ours ...string) []string {
	all := slices.Clone(names)
	for _, name := range slices.Concat(names, ours) {
		if other := strings.ReplaceAll(name, "-", "_"); other != name {
			all = append(all, other)
		}
	}
	return all
}

// ForeignHeaders are request headers that no app gets as the visitor sent them.
func (v Vhost) ForeignHeaders() []string { return foreignHeaders }

// FromTrustedProxy is an expression that is true for requests of the web servers in
// front of this one.
func (v Vhost) FromTrustedProxy() string {
	var any []string
	for _, address := range v.TrustedProxies {
		any = append(any, "%{CONN_REMOTE_ADDR} -ipmatch '"+address+"'")
	}
	return strings.Join(any, " || ")
}

// vhost is what every template gets.
func (f renderer) vhost(host, project string) Vhost {
	v := Vhost{Config: f.cfg, Mark: mark, Scheme: f.cfg.scheme(), Port: f.cfg.port(), WWW: f.cfg.WWW(), State: filepath.Dir(f.sites), Cookie: "review-ticket"}
	if v.Scheme == "https" {
		v.Cookie = "__Host-review-ticket"
	}
	v.Script = f.script
	if f.logins[project] != "" {
		v.ProjectLogin = projectLogin(project)
	}
	v.Ticket, v.LastTicket = f.tickets.of(host, f.logins[project])
	return v
}

// projectLogin names a provider of users in Apache's configuration.
func projectLogin(project string) string {
	sum := sha256.Sum256([]byte(project))
	return "review-" + hex.EncodeToString(sum[:8])
}

// renderSite returns the virtual host of one app.
func (f renderer) renderSite(site review.Site) ([]byte, error) {
	if err := f.checkSite(site); err != nil {
		return nil, err
	}
	v := f.vhost(site.Host, site.Project)
	v.Site = site
	var b bytes.Buffer
	if err := f.template.ExecuteTemplate(&b, "vhost.conf.tmpl", v); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b.Bytes(), []byte(mark)) {
		return append([]byte(mark+"\n"), b.Bytes()...), nil
	}
	return b.Bytes(), nil
}

// renderRest returns what stands before all apps and behind them, by file name.
// Apache sends names that it does not know to its first host, which must not be an
// app, and asks the hosts in their order, so that the pattern for all names
// under the domain comes last.
func (f renderer) renderRest() (files, error) {
	type login struct{ Name, File string }
	data := struct {
		Vhost
		Domain        string
		ProjectLogins []login
		Redirects     bool
		RedirectPort  string // with its colon; "": the usual one
	}{Vhost: f.vhost(f.domain, ""), Domain: f.domain}
	if f.cfg.Login == LoginPassword {
		for _, project := range slices.Sorted(maps.Keys(f.logins)) {
			data.ProjectLogins = append(data.ProjectLogins, login{projectLogin(project), f.logins[project]})
		}
	}
	data.Redirects = f.cfg.tls() && f.cfg.RedirectListen != "" && f.cfg.RedirectListen != f.cfg.Listen
	if f.cfg.port() != "443" {
		data.RedirectPort = ":" + f.cfg.port()
	}
	want := files{}
	for name, file := range map[string]string{"first": "00-unknown.conf", "last": "zz-unknown.conf"} {
		content, err := execute(name, data)
		if err != nil {
			return nil, err
		}
		want[file] = content
	}
	return want, nil
}

// generationHost is a name that only we ask for.
const generationHost = "generation.invalid"

// renderGeneration adds a host that tells from outside which of our files Apache has
// read: it answers with their digest.
func (f renderer) renderGeneration(want files) (generation string, err error) {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(sum, "%s %d\n%s", name, len(want[name]), want[name])
	}
	generation = hex.EncodeToString(sum.Sum(nil)[:8])
	content, err := execute("generation", struct {
		Vhost
		Host, Generation string
	}{f.vhost(f.domain, ""), generationHost, generation})
	want["01-generation.conf"] = content
	return generation, err
}

func execute(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
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

// scheme and port are those that browsers use.
func (c Config) scheme() string {
	if c.PublicScheme != "" {
		return c.PublicScheme
	}
	return c.listenScheme()
}

// listenScheme is what Apache speaks itself.
func (c Config) listenScheme() string {
	if c.tls() {
		return "https"
	}
	return "http"
}

func (c Config) port() string {
	if c.PublicPort != 0 {
		return strconv.Itoa(c.PublicPort)
	}
	if c.PublicScheme != "" && c.PublicScheme != c.listenScheme() {
		return map[string]string{"http": "80", "https": "443"}[c.PublicScheme]
	}
	return c.listenPort()
}

// WWW is the directory of the pages that are served beside the apps.
func (c Config) WWW() string { return filepath.Join(c.VhostDir, "www") }
