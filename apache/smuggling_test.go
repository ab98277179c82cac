package apache

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// recorder is an app that keeps all that comes on each connection and answers the
// same bytes to each.
type recorder struct {
	review.Site
	mu    sync.Mutex
	conns []*bytes.Buffer
}

func records(t *testing.T, name, answer string) *recorder {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	r := &recorder{Site: review.Site{Name: name, Host: name + "." + domain, Release: release(name), Backend: listener.Addr().String()}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.record(conn, answer)
		}
	}()
	return r
}

func (r *recorder) record(conn net.Conn, answer string) {
	defer conn.Close()
	all := &bytes.Buffer{}
	r.mu.Lock()
	r.conns = append(r.conns, all)
	r.mu.Unlock()
	buffer := make([]byte, 64<<10)
	for answered := false; ; {
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := conn.Read(buffer)
		r.mu.Lock()
		all.Write(buffer[:n])
		r.mu.Unlock()
		var timeout net.Error
		if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout() || answered) {
			return
		}
		if err != nil || bytes.Contains(buffer[:n], []byte("\r\n\r\n")) && !answered {
			answered = true
			_, _ = io.WriteString(conn, answer)
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}
}

// requests are those that came, as a server would take them. A connection carries one
// alone, so that each further one was smuggled.
func (r *recorder) requests(t *testing.T) (got []string, smuggled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		reader := bufio.NewReader(bytes.NewReader(conn.Bytes()))
		for i := 0; ; i++ {
			req, err := http.ReadRequest(reader)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("the app got %q: %v", conn, err)
				break
			}
			_, _ = io.Copy(io.Discard, req.Body)
			got = append(got, req.Method+" "+req.RequestURI)
			smuggled = smuggled || i > 0 || strings.Contains(req.RequestURI, "smuggled") || req.Header.Get("X-Smuggled") != ""
		}
	}
	r.conns = nil
	return got, smuggled
}

func TestSmuggling_NoRequestComesInAnother(t *testing.T) {
	f := newFront(t, testConfig())
	backend := records(t, "login", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthe app")
	apply(t, f, backend.Site)
	mine := ticket(t, "login")
	backend.requests(t)
	const inner = "GET /smuggled HTTP/1.1\r\nHost: login." + domain + "\r\nX-Smuggled: 1\r\n\r\n"
	length := fmt.Sprint(len(inner))
	reached := 0
	for name, rest := range map[string]string{
		"length and chunks":           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks and length":           "Transfer-Encoding: chunked\r\nContent-Length: " + length + "\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":                 "Content-Length: 0\r\nContent-Length: " + length + "\r\n\r\n" + inner,
		"two lengths in one":          "Content-Length: 0, " + length + "\r\n\r\n" + inner,
		"a length with a sign":        "Content-Length: +" + length + "\r\n\r\n" + inner,
		"a negative length":           "Content-Length: -1\r\n\r\n" + inner,
		"a length in hexadecimal":     "Content-Length: 0x0\r\n\r\n" + inner,
		"an unknown coding":           "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"chunked, then identity":      "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
		"two codings":                 "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"a space before the colon":    "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"a vertical tab":              "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"a folded line":               "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"a folded coding":             "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"a bare line feed":            "X: y\nX-Smuggled: 1\r\n\r\n" + inner,
		"a bare carriage return":      "X: y\rX-Smuggled: 1\r\n\r\n" + inner,
		"a chunk extension":           "Transfer-Encoding: chunked\r\n\r\n0;\n" + inner + "\r\n\r\n" + inner,
		"a chunk size with a sign":    "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + inner,
		"a chunk size that overflows": "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + inner,
		"a trailer":                   "Transfer-Encoding: chunked\r\nTrailer: X-Smuggled\r\n\r\n0\r\nX-Smuggled: 1\r\n\r\n" + inner,
		"a null":                      "X: a\x00b\r\n\r\n" + inner,
		"an upgrade":                  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + inner,
		"an upgrade and a body":       "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n" + inner,
	} {
		conn, err := net.Dial("tcp", "127.0.0.1:"+host.Port)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /form HTTP/1.1\r\nHost: login.%s\r\nCookie: %s\r\n%s", domain, mine, rest)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		conn.Close()
		line, _, _ := strings.Cut(string(answer), "\r\n")
		got, smuggled := backend.requests(t)
		if smuggled || len(got) > 1 {
			t.Errorf("%s: Apache answered %q, the app got %q", name, line, got)
		}
		if !strings.HasPrefix(line, "HTTP/1.1 ") {
			t.Errorf("%s: Apache answered %q", name, answer)
		}
		reached += len(got)
	}
	if reached == 0 {
		t.Error("the app got nothing at all")
	}
}

func TestSmuggling_NoRequestComesInAStream(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	backend := records(t, "login", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthe app")
	apply(t, f.Front, backend.Site)
	mine := f.ticket(t, "login")
	backend.requests(t)
	reached := 0
	const inner = "\r\n\r\nGET /smuggled HTTP/1.1\r\nX-Smuggled: 1\r\n\r\n"
	for name, headers := range map[string][]string{
		"nothing":           {"x", "y"},
		"a coding":          {"transfer-encoding", "chunked"},
		"a value of lines":  {"x", "y" + inner},
		"a name of lines":   {"x: y" + inner, "z"},
		"a length":          {"content-length", "100"},
		"connection":        {"connection", "upgrade", "upgrade", "websocket"},
		"an upper case":     {"X-Smuggled", "1"},
		"a line feed alone": {"x", "y\nX-Smuggled: 1"},
		"another host":      {"host", "login." + domain + inner},
		"a cookie of lines": {"cookie", "a=b" + inner},
	} {
		all := append([]string{":method", "GET", ":scheme", "https", ":authority", "login." + domain, ":path", "/form", "cookie", mine}, headers...)
		answer := f.streams(t, "login").ask(all...)
		got, smuggled := backend.requests(t)
		if smuggled || len(got) > 1 {
			t.Errorf("%s: Apache answered %d, the app got %q", name, answer.Status, got)
		}
		reached += len(got)
	}
	if reached == 0 {
		t.Error("the app got nothing at all")
	}
}

// TestHostileApp_AnswersTakeNothingDown has apps that answer what no server should.
func TestHostileApp_AnswersTakeNothingDown(t *testing.T) {
	f := newFront(t, testConfig())
	answers := map[string]string{
		"huge-header":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\nbody",
		"many-headers":  "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Many: x\r\n", 20000) + "\r\nbody",
		"many-cookies":  "HTTP/1.1 200 OK\r\n" + strings.Repeat("Set-Cookie: a=b; Domain=x; domain=y\r\n", 5000) + "\r\nbody",
		"long-cookie":   "HTTP/1.1 200 OK\r\nSet-Cookie: a=" + strings.Repeat("; domain ", 800) + "\r\n\r\nbody",
		"spaces":        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b;" + strings.Repeat(" ", 7000) + "domain\r\n\r\nbody",
		"no-status":     "this is no HTTP\r\n\r\n",
		"nothing":       "",
		"zeros":         strings.Repeat("\x00", 10000),
		"status-999":    "HTTP/1.1 999 What\r\n\r\nbody",
		"status-0":      "HTTP/1.1 000 What\r\n\r\nbody",
		"bad-name":      "HTTP/1.1 200 OK\r\nA B: c\r\n\x01: d\r\n: e\r\n\r\nbody",
		"bad-value":     "HTTP/1.1 200 OK\r\nX: a\x00b\x7f\x01\r\n\r\nbody",
		"no-colon":      "HTTP/1.1 200 OK\r\nnonsense\r\n\r\nbody",
		"bad-length":    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nbody",
		"short":         "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbody",
		"both":          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"bad-chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody",
		"many-interim":  strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5000) + "HTTP/1.1 200 OK\r\n\r\nbody",
		"unasked-101":   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nbody",
		"bad-location":  "HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
		"own-connecton": "HTTP/1.1 200 OK\r\nConnection: X-Review-Release, X-Robots-Tag, Set-Cookie\r\n\r\nbody",
	}
	sites := []review.Site{app(t, "good", "the good")}
	for name, answer := range answers {
		sites = append(sites, records(t, name, answer).Site)
	}
	apply(t, f, sites...)
	before := crashes(t)
	for name := range answers {
		status, header := strange(t, name)
		if status != 0 && header.Get("X-Robots-Tag") != "noindex, nofollow" {
			t.Errorf("%s: %d %.300v", name, status, header)
		}
		if status == http.StatusSwitchingProtocols {
			t.Errorf("%s: %d", name, status)
		}
		expect(t, "good", 200, "the good")
	}
	if after := crashes(t); after != before {
		t.Errorf("%d processes of Apache crashed", after-before)
	}
}

// strange asks the app and takes whatever comes, or nothing.
func strange(t *testing.T, name string) (int, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+host.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s.%s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", name, domain, password)
	answer, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s: Apache did not end its answer", name)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		t.Logf("%s: %v", name, err)
		return 0, nil
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// crashes counts processes of the test's Apache that a signal has ended.
func crashes(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(host.Dir, "apache.log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), "exit signal")
}
