package apache

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// secure is a front over TLS, with a certificate that nobody else trusts.
type secure struct {
	*Front
	certificate string // in PEM
	roots       *x509.CertPool
}

func newSecureFront(t *testing.T, change func(*Config)) secure {
	t.Helper()
	s := secure{roots: x509.NewCertPool()}
	cfg := testConfig()
	cfg.TLSCertificate, cfg.TLSKey = wildcardCertificate(t, s.roots)
	change(&cfg)
	s.Front, s.certificate = newFront(t, cfg), cfg.TLSCertificate
	return s
}

// dial connects to the test's Apache as to the host, and speaks that protocol: "h2"
// or "http/1.1".
func (s secure) dial(t testing.TB, name, protocol string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+host.Port, &tls.Config{RootCAs: s.roots, ServerName: name + "." + domain, NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if got := conn.ConnectionState().NegotiatedProtocol; got != protocol {
		t.Fatalf("Apache speaks %q, not %q", got, protocol)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// client finds every host at the test's Apache. It speaks HTTP/2 or HTTP/1.1.
func (s secure) client(t testing.TB, h2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, ForceAttemptHTTP2: h2}
	if !h2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+host.Port)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * time.Minute}
}

// request is one to an app, with these headers.
func (s secure) request(t testing.TB, method, name, path string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+name+"."+domain+":"+host.Port+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// ticket is the cookie that the gate gives for the password.
func (s secure) ticket(t testing.TB, name string) string {
	t.Helper()
	resp, err := s.client(t, false).Do(s.request(t, "GET", name, "/", nil, "Authorization", password))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, cookie := range resp.Header.Values("Set-Cookie") {
		value, attributes, _ := strings.Cut(cookie, "; ")
		if strings.HasPrefix(value, "__Host-review-ticket=") {
			if attributes != "Path=/; HttpOnly; SameSite=Lax; Secure" {
				t.Errorf("the ticket has %q", attributes)
			}
			return value
		}
	}
	t.Fatalf("no ticket: %s %v", resp.Status, resp.Header)
	return ""
}

// streams is a connection of HTTP/2 on which a test may say what no client would.
type streams struct {
	t      testing.TB
	framer *http2.Framer
	next   uint32
}

func (s secure) streams(t testing.TB, name string) *streams {
	t.Helper()
	conn := s.dial(t, name, "h2")
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return &streams{t, framer, 1}
}

// ask sends a request of these headers, in their order, and returns the answer.
// Status is 0 if the stream or the connection was ended in place of one.
func (s *streams) ask(headers ...string) hosttest.Answer {
	s.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(headers); i += 2 {
		if err := encoder.WriteField(hpack.HeaderField{Name: headers[i], Value: headers[i+1]}); err != nil {
			s.t.Fatal(err)
		}
	}
	stream := s.next
	s.next += 2
	answer := hosttest.Answer{Header: http.Header{}}
	if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return answer
	}
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return hosttest.Answer{}
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			return hosttest.Answer{}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = s.framer.WriteSettingsAck()
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return hosttest.Answer{}
			}
		case *http2.MetaHeadersFrame:
			if _, err := fmt.Sscan(frame.PseudoValue("status"), &answer.Status); err != nil {
				s.t.Fatal(err)
			}
			for _, field := range frame.RegularFields() {
				answer.Header.Add(field.Name, field.Value)
			}
		case *http2.DataFrame:
			answer.Body += string(frame.Data())
		}
		if frame.Header().StreamID == stream && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return answer
		}
	}
}

// TestProtocol_OneLoginForManyAssets is what curl sees: a ticket for the password, and
// with it all else over one connection of HTTP/2.
func TestProtocol_OneLoginForManyAssets(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	apply(t, f.Front, app(t, "login", "the app"))
	jar := filepath.Join(t.TempDir(), "jar")
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{"--silent", "--show-error", "--cacert", f.certificate, "--resolve", "login." + domain + ":" + host.Port + ":127.0.0.1"}, args...)
		out, err := exec.Command("curl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v\n%s", err, out)
		}
		return string(out)
	}
	base := "https://login." + domain + ":" + host.Port
	for _, protocol := range []struct{ option, version string }{{"--http1.1", "1.1"}, {"--http2", "2"}} {
		if got := curl(protocol.option, "--write-out", "%{http_code}", base+"/"); !strings.HasSuffix(got, "401") {
			t.Errorf("%s without a password: %s", protocol.option, got)
		}
		if got := curl(protocol.option, "--user", "demo:demo", "--cookie-jar", jar, "--write-out", "%{http_version}", base+"/"); !strings.HasPrefix(got, "the app\n") || !strings.HasSuffix(got, "\n"+protocol.version) {
			t.Errorf("%s with the password: %s", protocol.option, got)
		}
		got := curl(protocol.option, "--cookie", jar, "--write-out", "%{http_code} %{num_connects}\n", base+"/assets/[1-100].js")
		if strings.Count(got, "the app\n") != 100 || strings.Count(got, "\n200 0\n") != 99 || strings.Contains(got, "Cookie") {
			t.Errorf("%s with a ticket: %s", protocol.option, got)
		}
	}
}

// TestProtocol_PathTricksOpenNothingOverHTTP2 tries the table in docs/front.md, and what
// can be said in HTTP/2 alone.
func TestProtocol_PathTricksOpenNothingOverHTTP2(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	site := app(t, "login", "the app")
	site.PublicPaths = []string{"/payments/webhook", "/hooks/*"}
	apply(t, f.Front, site)
	page(t, "robots.txt", "Disallow: /\n")
	doc, err := os.ReadFile("../docs/front.md")
	if err != nil {
		t.Fatal(err)
	}
	type try struct{ method, path, want string }
	var tries []try
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+) ([^ `]+)` \\| (app|password|refused) \\|$").FindAllStringSubmatch(string(doc), -1) {
		tries = append(tries, try{row[1], row[2], row[3]})
	}
	if len(tries) < 50 {
		t.Fatalf("only %d lines", len(tries))
	}
	for _, path := range []string{
		"/payments/webhook HTTP/1.1", "/payments/webhook HTTP/../../admin", "/hooks/a HTTP/../../admin", "/payments/webhook\tHTTP/1.1", "payments/webhook", "",
		"/admin\r\nX: y", "/payments/webhook\r\n/admin", "/payments/webhook\x00", "/payments/webhook HTTP/1.1\r\nX: ", "*",
	} {
		tries = append(tries, try{"GET", path, "password"})
	}
	for _, method := range []string{"GET /payments/webhook HTTP/", "GET /payments/webhook HTTP/1.1\r\nX: y", "GET\x00", ""} {
		tries = append(tries, try{method, "/admin", "password"})
	}
	for _, try := range tries {
		got := f.streams(t, "login").ask(":method", try.method, ":scheme", "https", ":authority", "login."+domain, ":path", try.path)
		reached := strings.Contains(got.Body, "the app") || strings.Contains(got.Body, "Disallow")
		switch {
		case try.want == "app" && (got.Status != 200 || !reached):
			t.Errorf("%q %q: %d, want the app\n%.200s", try.method, try.path, got.Status, got.Body)
		case try.want != "app" && (reached || got.Status/100 != 4 && got.Status != 0):
			t.Errorf("%q %q: %d\n%.200s", try.method, try.path, got.Status, got.Body)
		}
	}
}

// TestProtocol_ConnectionOfOneHostIsNotAnothers asks for one app on the connection to
// another, as browsers do whose certificate is for both.
func TestProtocol_ConnectionOfOneHostIsNotAnothers(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	login, cart := app(t, "login", "the app"), app(t, "cart", "the cart")
	apply(t, f.Front, login, cart)
	mine := f.ticket(t, "login")
	conn := f.streams(t, "login")
	ask := func(name string, headers ...string) hosttest.Answer {
		t.Helper()
		return conn.ask(append([]string{":method", "GET", ":scheme", "https", ":authority", name + "." + domain + ":" + host.Port, ":path", "/"}, headers...)...)
	}
	if got := ask("login", "cookie", mine); got.Status != 200 || !strings.HasPrefix(got.Body, "the app\n") {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	if got := ask("cart"); got.Status != 401 && got.Status != 421 || strings.Contains(got.Body, "the ") && got.Status != 421 && got.Header.Get("X-Review-Release") != cart.Release {
		t.Errorf("without a login: %d %v", got.Status, got.Header)
	}
	if got := ask("cart", "cookie", mine); got.Status != 401 && got.Status != 421 {
		t.Errorf("with the ticket of another: %d %q", got.Status, got.Body)
	}
	if got := ask("cart", "authorization", password); got.Status != 421 && (got.Status != 200 || !strings.HasPrefix(got.Body, "the cart\n")) {
		t.Errorf("with the password: %d %q", got.Status, got.Body)
	}
	if got := ask("cart", "authorization", password, "host", "login."+domain); strings.HasPrefix(got.Body, "the app\n") && got.Header.Get("X-Review-Release") == cart.Release {
		t.Errorf("with two names: %d %q", got.Status, got.Body)
	}
	if got := ask("unknown", "cookie", mine); got.Status != 404 && got.Status != 421 {
		t.Errorf("a name of nobody: %d %q", got.Status, got.Body)
	}
	if got := ask("login", "cookie", mine); got.Status != 200 || !strings.HasPrefix(got.Body, "the app\n") {
		t.Errorf("after all that: %d %q", got.Status, got.Body)
	}
}

func TestProtocol_TraceIsOff(t *testing.T) {
	f := newFront(t, testConfig())
	apply(t, f, app(t, "login", "the app"))
	if status, body := raw(t, "TRACE /", "login."+domain, "Authorization: "+password+"\r\n", "X-Mine: echoed\r\n"); status != 405 || strings.Contains(body, "echoed") {
		t.Errorf("%d %q", status, body)
	}
}
