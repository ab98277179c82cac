package apache

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// siteOfFiles makes a site of these files and removes it after the test.
func siteOfFiles(t testing.TB, name string, contents map[string]string) review.Site {
	t.Helper()
	root := filepath.Join(sites(), name, "r-"+name)
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(root)) })
	for file, content := range contents {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil { // executable, as a stranger would have it
			t.Fatal(err)
		}
	}
	return review.Site{Name: name, Host: name + "." + domain, Release: "r-" + name, Root: root}
}

// ask sends a request with the password and these headers.
func ask(t testing.TB, name, path string, headers ...string) hosttest.Answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return host.Do(t, req, name+"."+domain, true)
}

func TestFiles_AreServedAsAnAppIs(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, siteOfFiles(t, "handbook", map[string]string{
		"index.html": "<h1>Handbook</h1>", "style.css": "body {}", "guide/index.html": "the guide", "icons/logo.svg": "<svg/>",
		"a b.txt": "a space", ".well-known/security.txt": "Contact: us",
	}))
	for path, want := range map[string]string{
		"/": "<h1>Handbook</h1>", "/guide/": "the guide", "/icons/logo.svg": "<svg/>", "/a%20b.txt": "a space", "/.well-known/security.txt": "Contact: us",
	} {
		got := ask(t, "handbook", path)
		if got.Status != 200 || got.Body != want {
			t.Errorf("%s: %d %q, want %q", path, got.Status, got.Body, want)
		}
		if got.Header.Get("X-Review-Release") != "r-handbook" || got.Header.Get("X-Robots-Tag") != "noindex, nofollow" {
			t.Errorf("%s: headers %v", path, got.Header)
		}
	}
	refused := host.Get(t, "handbook."+domain, "/", false)
	if refused.Status != 401 || refused.Header.Get("X-Review-Release") != "r-handbook" || strings.Contains(refused.Body, "Handbook") {
		t.Errorf("without the password: %d %v %q", refused.Status, refused.Header, refused.Body)
	}
	if got := ask(t, "handbook", "/guide"); got.Status != 301 || got.Header.Get("Location") != "http://handbook.review.localhost/guide/" {
		t.Errorf("a directory without its slash: %d, to %s", got.Status, got.Header.Get("Location"))
	}
	for _, missing := range []string{"/missing", "/missing/", "/index.html/more", "/icons/../other/index.html"} {
		if got := ask(t, "handbook", missing); got.Status != 404 {
			t.Errorf("%s: %d, want 404", missing, got.Status)
		}
	}
	if got := ask(t, "handbook", "/icons/"); got.Status != 403 && got.Status != 404 {
		t.Errorf("a directory without an index: %d %q", got.Status, got.Body)
	}
}

func TestFiles_TypesRangesAndCaching(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, siteOfFiles(t, "handbook", map[string]string{"index.html": "0123456789", "style.css": "body {}"}))
	if _, err := os.Stat("/etc/mime.types"); err == nil {
		if got := ask(t, "handbook", "/style.css").Header.Get("Content-Type"); got != "text/css" {
			t.Errorf("style.css is %q", got)
		}
	}
	if got := ask(t, "handbook", "/", "Range", "bytes=2-4"); got.Status != http.StatusPartialContent || got.Body != "234" {
		t.Errorf("a range: %d %q", got.Status, got.Body)
	}
	tag := ask(t, "handbook", "/").Header.Get("ETag")
	if got := ask(t, "handbook", "/", "If-None-Match", tag); tag == "" || got.Status != http.StatusNotModified {
		t.Errorf("if none matches %q: %d", tag, got.Status)
	}
}

func TestFiles_HiddenOnesAreNotServed(t *testing.T) {
	f := newFront(t, testConfig())
	hidden := []string{".git/config", ".env", "docs/.htpasswd", ".well-known.d/x", "docs/.well-knowns"}
	contents := map[string]string{"index.html": "the index"}
	for _, file := range hidden {
		contents[file] = "hidden"
	}
	apply(t, f, siteOfFiles(t, "handbook", contents))
	for _, path := range append(hidden, "%2egit/config", "docs//.htpasswd", ".git/", "x/../.env") {
		if got := ask(t, "handbook", "/"+path); got.Status != 404 || strings.Contains(got.Body, "hidden") {
			t.Errorf("%s: %d %q, want 404", path, got.Status, got.Body)
		}
		if got := host.Get(t, "handbook."+domain, "/"+path, false); got.Status != 401 {
			t.Errorf("%s without the password: %d, want 401", path, got.Status)
		}
	}
}

func TestFiles_LinkToAFileOfAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a file of another user")
	}
	f := newFront(t, testConfig())
	site := siteOfFiles(t, "handbook", map[string]string{"index.html": "the index", "foreign": "of another user"})
	if err := os.Chown(filepath.Join(site.Root, "foreign"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"own.html": "index.html", "link.html": "foreign"} {
		if err := os.Symlink(target, filepath.Join(site.Root, link)); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, f, site)
	if got := ask(t, "handbook", "/own.html"); got.Status != 200 || got.Body != "the index" {
		t.Errorf("a link to a file of the site: %d %q", got.Status, got.Body)
	}
	if got := ask(t, "handbook", "/link.html"); got.Status != 403 {
		t.Errorf("a link to a file of another user: %d %q", got.Status, got.Body)
	}
}

// eager is a server that does something with every file it knows a way for.
const eager = `
LoadModule cgid_module ${modules}/mod_cgid.so
LoadModule include_module ${modules}/mod_include.so
LoadModule negotiation_module ${modules}/mod_negotiation.so
LoadModule actions_module ${modules}/mod_actions.so
LoadModule asis_module ${modules}/mod_asis.so
LoadModule autoindex_module ${modules}/mod_autoindex.so
LoadModule status_module ${modules}/mod_status.so
ScriptSock ${run}/cgi
Alias "/icons/" "/etc/"
ScriptAlias "/cgi-bin/" "${site}/cgi-bin/"
AddHandler cgi-script .cgi
AddHandler server-parsed .shtml
AddHandler type-map .var
AddHandler send-as-is .asis
AddType application/x-httpd-cgi .xcgi
AddType application/x-type-map .map
AddOutputFilter INCLUDES .ssi
XBitHack on
Action run-php "/cgi-bin/run"
<FilesMatch ".+\.ph(ar|p|tml)$">
    SetHandler run-php
</FilesMatch>
<Directory />
    Options +ExecCGI +Includes +MultiViews +Indexes
    AllowOverride All
    AllowOverrideList ForceType SetHandler
</Directory>
<Location />
    Options +ExecCGI +Includes
</Location>
<Location /forced>
    SetHandler cgi-script
</Location>
<Location /server-status>
    SetHandler server-status
    Require all granted
</Location>
<If "%{REQUEST_URI} =~ m#/iffy#">
    SetHandler cgi-script
    Options +ExecCGI
</If>
`

// makeEager gives the test's Apache this configuration until the end of the test.
func makeEager(t *testing.T, root string) {
	t.Helper()
	extra := filepath.Join(host.Dir, "extra.conf")
	before, err := os.ReadFile(extra)
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("${modules}", "/usr/lib/apache2/modules", "${run}", filepath.Join(host.Dir, "apache"), "${site}", root)
	if err := os.WriteFile(extra, append(before, values.Replace(eager)...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(extra, before, 0o644); err != nil {
			t.Error(err)
		}
		host.Apache(t, "-k", "graceful")
	})
	host.Apache(t, "-t")
	host.Apache(t, "-k", "graceful")
}

// TestFiles_AreNeverRun has a script under every name for which the server
// would run it, and compares what comes with what is there.
func TestFiles_AreNeverRun(t *testing.T) {
	const script = "#!/bin/sh\n# <!--#exec cmd=\"echo ran\" -->\nprintf 'Content-Type: text/plain\\n\\nran '\necho as a program\n"
	names := []string{
		"a.cgi", "a.xcgi", "a.ssi", "a.shtml", "a.php", "a.phtml", "a.var", "a.map", "a.asis", "executable.html", "forced/a.html",
		"iffy.html", "a.cgi.html", "a.php.html", "cgi-bin/run", "icons/hostname", "server-status",
	}
	contents := map[string]string{
		"index.html": "the index", "sub/.htaccess": "Options +ExecCGI\nSetHandler cgi-script\nForceType text/x-own\n", "sub/a.html": script,
		"choice.html.en": "chosen", "list/a.txt": "a", "first/index.html": script, "second/index.cgi": script, "second/.htaccess": "DirectoryIndex index.cgi\n",
	}
	for _, name := range names {
		contents[name] = script
	}
	f := newFront(t, testConfig())
	site := siteOfFiles(t, "stranger", contents)
	makeEager(t, site.Root)
	apply(t, f, site)
	eventually(t, func() bool { return ask(t, "stranger", "/sub/a.html").Status == 200 })
	for _, name := range append(names, "sub/a.html", "first/") {
		got := ask(t, "stranger", "/"+name)
		if got.Status != 200 || got.Body != script || got.Header.Get("Content-Type") == "text/x-own" {
			t.Errorf("%s: %d %s %q", name, got.Status, got.Header.Get("Content-Type"), got.Body)
		}
	}
	for _, name := range []string{"choice", "choice.html", "list/", "second/", "a.cgi/more", "icons/passwd"} {
		if got := ask(t, "stranger", "/"+name); got.Status == 200 {
			t.Errorf("%s: %d %q", name, got.Status, got.Body)
		}
	}
	// The proof that this server would: the same file, of a site of its administrator.
	if got := runsCGI(t, site.Root); !strings.Contains(got, "ran as a program") {
		t.Errorf("the test proves nothing, for this server runs no script at all: %q", got)
	}
}

// runsCGI asks the server for a.cgi through a virtual host that is not ours.
func runsCGI(t *testing.T, root string) string {
	t.Helper()
	theirs := filepath.Join(host.Dir, "vhosts", "theirs.conf")
	vhost := "<VirtualHost 127.0.0.1:" + host.Port + ">\nServerName theirs.invalid\nDocumentRoot \"" + root + "\"\n<Directory />\nRequire all granted\n</Directory>\n</VirtualHost>\n"
	if err := os.WriteFile(theirs, []byte(vhost), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(theirs)
	host.Apache(t, "-k", "graceful")
	eventually(t, func() bool { return host.Get(t, "theirs.invalid", "/index.html", false).Status == 200 })
	return host.Get(t, "theirs.invalid", "/a.cgi", false).Body
}

func TestCheckSite_FilesOutsideTheSitesAreRefused(t *testing.T) {
	f := New(testConfig(), domain, "/var/lib/review-executor/sites", nil)
	for _, root := range []string{
		"/", "/etc", "/var/lib/review-executor/sites", "/var/lib/review-executor/sites/", "/var/lib/review-executor/sites-of-others/a",
		"/var/lib/review-executor/sites/../apps", "/var/lib/review-executor/sites/a/", "/var/lib/review-executor/sites//a", "sites/a", "./a",
		"/var/lib/review-executor/sites/a\"", "/var/lib/review-executor/sites/${HOME}", "/var/lib/review-executor/sites/a*", "/var/lib/review-executor/sites/a\nb",
	} {
		site := review.Site{Name: "a", Host: "a." + domain, Release: "r1", Root: root}
		if _, err := renders(t, f).renderSite(site); err == nil {
			t.Errorf("%q passes", root)
		}
	}
	for _, both := range []review.Site{
		{Name: "a", Host: "a." + domain, Release: "r1", Root: "/var/lib/review-executor/sites/a", Backend: "127.0.0.1:80"},
		{Name: "a", Host: "a." + domain, Release: "r1"},
	} {
		if _, err := renders(t, f).renderSite(both); err == nil {
			t.Errorf("%+v passes", both)
		}
	}
}

func TestDrain_FilesHaveNothingToWaitFor(*testing.T) {
	(&Front{}).Drain(context.Background(), "")
}
