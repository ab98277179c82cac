package apache

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// section is what a section of docs/logins.md has for Apache: the file of the
// login, and that of the server.
type section struct{ login, server string }

// loginsDoc returns the sections that have files for Apache, by their headings.
func loginsDoc(t *testing.T) map[string]section {
	t.Helper()
	text, err := os.ReadFile("../docs/logins.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]section{}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		var s section
		for _, block := range regexp.MustCompile("(?ms)^```apache\n(.*?)^```$").FindAllStringSubmatch(body, -1) {
			switch file, _, _ := strings.Cut(block[1], "\n"); {
			case file == "# /etc/review-executor/login.conf":
				s.login = block[1]
			case strings.HasPrefix(file, "# /etc/apache2/conf-available/review-executor-"):
				s.server = block[1]
			default:
				t.Errorf("%s: a block does not begin with the name of its file, but %q", heading, file)
			}
		}
		if s != (section{}) {
			sections[heading] = s
		}
	}
	if len(sections) != 2 {
		t.Fatalf("%d sections with files for Apache, want 2", len(sections))
	}
	return sections
}

// loginFront is the front of an Apache with the login of a section.
func loginFront(t *testing.T, heading string, replace ...string) *Front {
	t.Helper()
	s := loginsDoc(t)[heading]
	for _, module := range regexp.MustCompile(`LoadModule \S+ (\S+)`).FindAllStringSubmatch(s.server, -1) {
		if _, err := os.Stat(module[1]); err != nil {
			t.Skipf("%s is not installed", filepath.Base(module[1]))
		}
	}
	edit := strings.NewReplacer(append(replace, "/var/cache/apache2/mod_auth_openidc", cacheDir(t))...)
	cfg := testConfig()
	cfg.Login, cfg.LoginConfig = LoginCustom, filepath.Join(t.TempDir(), "login.conf")
	write(t, cfg.LoginConfig, edit.Replace(s.login))
	if problems := cfg.Problems(); len(problems) > 0 {
		t.Fatal(problems)
	}
	return ownApache(t, cfg, edit.Replace(s.server))
}

// cacheDir is one that belongs to Apache's user.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(host.Dir, "cache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // of a test
		t.Fatal(err)
	}
	return dir
}

// TestLogins_ExamplesAreAccepted lets Apache check each as it stands in
// docs/logins.md, but for the password that a command reads.
func TestLogins_ExamplesAreAccepted(t *testing.T) {
	for heading := range loginsDoc(t) {
		t.Run(heading, func(t *testing.T) {
			front := loginFront(t, heading, "exec:/bin/cat /etc/review-executor/ldap-password", "secret")
			if refused, err := front.Apply(context.Background(), []review.Site{app(t, "login", "the app")}, nil); err != nil || len(refused) > 0 {
				t.Errorf("refused %v, %v", refused, err)
			}
		})
	}
}

func TestLogins_LDAP(t *testing.T) {
	server := ldapServer(t)
	password := filepath.Join(t.TempDir(), "ldap-password")
	write(t, password, "secret\n")
	front := loginFront(t, "LDAP", "ldap://ldap.example.org/", "ldap://"+server+"/", " STARTTLS", "", "/etc/review-executor/ldap-password", password)
	site := app(t, "login", "the app")
	apply(t, front, site)
	for _, c := range []struct {
		name, password string
		status         int
	}{
		{"ann", "of ann", http.StatusOK},
		{"ann", "wrong", http.StatusUnauthorized},
		{"ann", "", http.StatusUnauthorized},
		{"bob", "of bob", http.StatusUnauthorized}, // is not in the group
		{"eve", "of eve", http.StatusUnauthorized},
		{"*", "of ann", http.StatusUnauthorized},
		{"demo", "demo", http.StatusUnauthorized}, // of the file of users
	} {
		req, err := http.NewRequest(http.MethodGet, "http://"+front.cfg.Listen+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(c.name, c.password)
		if got := host.Do(t, req, site.Host, false); got.Status != c.status || strings.Contains(got.Body, "the app") != (c.status == 200) {
			t.Errorf("%s with %q: %d %q, want %d", c.name, c.password, got.Status, got.Body, c.status)
		}
	}
}

// ldapServer starts an LDAP server on a free port of loopback.
func ldapServer(t *testing.T) (address string) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/slapd"); err != nil {
		t.Skip("slapd is not installed")
	}
	dir := t.TempDir()
	config, people := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "people.ldif")
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	const base = "dc=example,dc=org"
	write(t, config, fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
argsfile %[1]s/args
database mdb
suffix %[2]s
rootdn cn=apache,%[2]s
rootpw secret
directory %[1]s/db
`, dir, base))
	ldif := fmt.Sprintf("dn: %[1]s\nobjectClass: domain\ndc: example\n\ndn: ou=people,%[1]s\nobjectClass: organizationalUnit\nou: people\n\ndn: ou=groups,%[1]s\nobjectClass: organizationalUnit\nou: groups\n\n", base)
	for _, name := range []string{"ann", "bob"} {
		ldif += fmt.Sprintf("dn: uid=%[1]s,ou=people,%[2]s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\nuserPassword: of %[1]s\n\n", name, base)
	}
	write(t, people, ldif+fmt.Sprintf("dn: cn=web-team,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: web-team\nmember: uid=ann,ou=people,%[1]s\n", base))
	if out, err := exec.Command("/usr/sbin/slapadd", "-f", config, "-l", people).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address = freeAddress(t)
	cmd := exec.Command("/usr/sbin/slapd", "-f", config, "-h", "ldap://"+address, "-d", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

func TestLogins_OpenIDConnect(t *testing.T) {
	provider := newProvider(t)
	front := loginFront(t, "OpenID Connect with GitLab", "https://gitlab.example.org", provider.URL,
		"https://review.example.org/", "http://"+domain+":PORT/", "review.example.org", domain)
	login, cart := headers(t, "login"), headers(t, "cart")
	apply(t, front, login, cart)
	ann := visitor(t, front)

	if got := ann.get(t, login.Host); !strings.HasPrefix(got, "200 login\n") || provider.logins != 1 {
		t.Fatalf("after %d logins: %s", provider.logins, got)
	}
	if got := ann.get(t, cart.Host); !strings.HasPrefix(got, "200 cart\n") || provider.logins != 1 {
		t.Errorf("another app, after %d logins: %s", provider.logins, got)
	}
	if got := ann.get(t, login.Host); !strings.HasPrefix(got, "200 login\n") || provider.logins != 1 {
		t.Errorf("with a ticket and a session, after %d logins: %s", provider.logins, got)
	}
	ann.get(t, domain) // the page of all apps, which gives a ticket, too
	ann.forget(t, "mod_auth_openidc_session")
	if got := ann.get(t, login.Host); !strings.HasPrefix(got, "200 login\n") || provider.logins != 1 {
		t.Errorf("with a ticket alone, after %d logins: %s", provider.logins, got)
	}
	ann.forget(t, "review-ticket", login.Host)
	if got := ann.get(t, login.Host); !strings.HasPrefix(got, "200 login\n") || provider.logins != 2 {
		t.Errorf("with a ticket of the domain alone, after %d logins: %s", provider.logins, got)
	}

	provider.groups = []string{"web-team-of-others"}
	if got := visitor(t, front).get(t, login.Host); !strings.HasPrefix(got, "401 ") {
		t.Errorf("somebody who is not in the group: %s", got)
	}
	for _, cookie := range []string{"mod_auth_openidc_session=forged", "review-ticket=forged"} {
		req, err := http.NewRequest(http.MethodGet, "http://"+front.cfg.Listen+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Cookie", cookie)
		if got := host.Do(t, req, login.Host, false); got.Status != http.StatusFound || !strings.HasPrefix(got.Header.Get("Location"), provider.URL+"/authorize?") {
			t.Errorf("%s: %d %q", cookie, got.Status, got.Body)
		}
	}
}

// headers is an app that answers with its name and all that it is sent. Nothing of a
// login may be in that.
func headers(t *testing.T, name string) review.Site {
	return answers(t, name, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, name)
		for header, values := range r.Header {
			line := fmt.Sprintf("%s: %q", header, values)
			for _, secret := range []string{"oidc", "openid", "token", "ticket", "ann"} {
				if strings.Contains(strings.ToLower(line), secret) {
					t.Errorf("the app gets %s", line)
				}
			}
		}
	})
}

// browser follows redirects, and keeps cookies.
type browser struct {
	http.Client
	port string
}

func visitor(t *testing.T, front *Front) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if name, _, _ := net.SplitHostPort(address); strings.HasSuffix(name, domain) {
			address = front.cfg.Listen
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &browser{http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 20 * time.Second}, front.cfg.listenPort()}
}

// get returns the status and the body that the browser ends up with.
func (b *browser) get(t *testing.T, host string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+host+":"+b.port+"/page", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html") // what is no browser gets 401
	resp, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// forget drops a cookie of the domain, or of these hosts.
func (b *browser) forget(t *testing.T, cookie string, hosts ...string) {
	t.Helper()
	expired := &http.Cookie{Name: cookie, Path: "/", MaxAge: -1}
	if len(hosts) == 0 {
		expired.Domain, hosts = domain, []string{domain}
	}
	for _, host := range hosts {
		at := &url.URL{Scheme: "http", Host: host + ":" + b.port, Path: "/"}
		before := len(b.Jar.Cookies(at))
		if b.Jar.SetCookies(at, []*http.Cookie{expired}); len(b.Jar.Cookies(at)) != before-1 {
			t.Errorf("of %d cookies, %s is none", before, cookie)
		}
	}
}

// provider is a provider of OpenID Connect at which everybody is logged in.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	groups []string
	nonce  string
	logins int
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, groups: []string{"web-team", "web-team/backend"}}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	answer := func(path string, of func(r *http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(of(r))
		})
	}
	answer("/.well-known/openid-configuration", func(*http.Request) any {
		return map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "userinfo_endpoint": p.URL + "/userinfo", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
		}
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p.nonce = q.Get("nonce")
		p.logins++
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {"a-code"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	answer("/keys", func(*http.Request) any {
		return map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}}
	})
	answer("/token", func(r *http.Request) any {
		client, _, _ := r.BasicAuth()
		client, _ = url.QueryUnescape(client)
		return map[string]any{"access_token": "a-token", "token_type": "Bearer", "expires_in": 7200, "id_token": p.token(map[string]any{
			"iss": p.URL, "sub": "7", "aud": client, "nonce": p.nonce, "nickname": "ann", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		})}
	})
	answer("/userinfo", func(*http.Request) any {
		return map[string]any{"sub": "7", "nickname": "ann", "groups": p.groups}
	})
	return p
}

// token is a JSON Web Token.
func (p *provider) token(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	text := encode([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	signature, _ := rsa.SignPKCS1v15(nil, p.key, crypto.SHA256, sum[:])
	return text + "." + encode(signature)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
