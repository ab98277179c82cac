package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	token   = "glsecret-31ce5"
	hubKey  = "ghsecret-8a1f0"
	signKey = "whsec_c2lnbmluZy1rZXktb2YtMzItYnl0ZXMtLS0tLS0tLS0="
)

// endpoint is a receiver that a test sends to.
type endpoint struct {
	*testing.T
	url  string
	mu   sync.Mutex
	kept []review.Event
	fail error // what keeping an event ends with
	log  bytes.Buffer
}

func newEndpoint(t *testing.T, secrets Secrets) *endpoint {
	e := &endpoint{T: t}
	log := logrus.New()
	log.SetOutput(&e.log)
	server, failed := serveHTTP(newReceiver(secrets, mirrors, e.keep, log), []net.Listener{listen(t, e)})
	t.Cleanup(func() {
		_ = server.Close()
		select {
		case err := <-failed:
			t.Error(err)
		default:
		}
	})
	return e
}

func listen(t *testing.T, e *endpoint) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.url = "http://" + l.Addr().String()
	return l
}

func (e *endpoint) keep(_ context.Context, event review.Event) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return false, e.fail
	}
	for _, one := range e.kept {
		if one.ID == event.ID {
			return false, nil
		}
	}
	e.kept = append(e.kept, event)
	return true, nil
}

// request is one to /gitlab that is in order, but for what a test changes.
func (e *endpoint) request(body []byte, headers ...string) *http.Request {
	e.Helper()
	return e.requestTo("/gitlab", body, append([]string{"X-Gitlab-Token", token, "X-Gitlab-Event", "Push Hook", "Idempotency-Key", "key-1"}, headers...)...)
}

// requestTo has no header whose value is empty.
func (e *endpoint) requestTo(path string, body []byte, headers ...string) *http.Request {
	e.Helper()
	r, err := http.NewRequest(http.MethodPost, e.url+path, bytes.NewReader(body))
	if err != nil {
		e.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	return r
}

// answers fails the test unless the request gets this status and this text.
func (e *endpoint) answers(r *http.Request, status int, text string) *http.Response {
	e.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		e.Fatal(err)
	}
	if resp.StatusCode != status || !strings.Contains(string(body), text) || strings.Count(string(body), "\n") != 1 {
		e.Errorf("it answers %d %q, want %d and one line with %q", resp.StatusCode, body, status, text)
	}
	return resp
}

// has fails the test unless so many events were kept.
func (e *endpoint) has(n int) {
	e.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) != n {
		e.Errorf("%d events were kept, want %d: %+v", len(e.kept), n, e.kept)
	}
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestReceiver_KeepsWhatEndsSomethingBeforeItAnswers(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token, GitHub: hubKey})
	for name, body := range payloads(t) {
		before := len(e.kept)
		r := e.request(body, "Idempotency-Key", strings.ReplaceAll(name, "/", "."))
		if kind, found := strings.CutPrefix(name, "github/"); found {
			kind, _, _ = strings.Cut(kind, ".")
			r = e.requestTo("/some/prefix/github", body, "X-GitHub-Event", kind, "X-GitHub-Delivery", strings.ReplaceAll(name, "/", "."), "X-Hub-Signature-256", sign(hubKey, body))
		}
		if _, ending := ends[name]; ending {
			e.answers(r, http.StatusOK, "queued")
			e.has(before + 1)
			event := e.kept[before]
			if event.ID == "" || time.Since(event.Received).Abs() > time.Hour || event.Received.Location() != time.UTC {
				t.Errorf("%s: its ID is %q, and it was received at %v", name, event.ID, event.Received)
			}
		} else {
			e.answers(r, http.StatusOK, "nothing to do: ")
			e.has(before)
		}
	}
	if got := e.log.String(); strings.Contains(got, token) || strings.Contains(got, hubKey) || !strings.Contains(got, `github = \"example/other\"`) {
		t.Errorf("the log is %s", got)
	}
}

func TestReceiver_TheSecretCounts(t *testing.T) {
	body := testdata(t, "gitlab/push-branch-deleted")
	deleted := testdata(t, "github/delete.branch")
	github := func(e *endpoint, signature string) *http.Request {
		return e.requestTo("/github", deleted, "X-GitHub-Event", "delete", "X-GitHub-Delivery", "d-1", "X-Hub-Signature-256", signature)
	}
	e := newEndpoint(t, Secrets{GitLab: token, GitHub: hubKey})
	for _, wrong := range []string{"", " ", "x", token + "x", token[1:], strings.ToUpper(token), hubKey} {
		e.answers(e.request(body, "X-Gitlab-Token", wrong), http.StatusUnauthorized, "unauthorized")
	}
	for _, wrong := range []string{"", "sha256=", sign("", deleted), sign(token, deleted), sign(hubKey, body), strings.TrimPrefix(sign(hubKey, deleted), "sha256="), "sha1=" + sign(hubKey, deleted)[7:], "sha256=zz"} {
		e.answers(github(e, wrong), http.StatusUnauthorized, "unauthorized")
	}
	e.has(0)
	e.answers(e.request(body), http.StatusOK, "queued")
	e.answers(github(e, sign(hubKey, deleted)), http.StatusOK, "queued")
	e.has(2)
}

func TestReceiver_NoSecretMatchesNothing(t *testing.T) {
	body, deleted := testdata(t, "gitlab/push-branch-deleted"), testdata(t, "github/delete.branch")
	only := newEndpoint(t, Secrets{GitHub: hubKey})
	only.answers(only.request(body, "X-Gitlab-Token", ""), http.StatusUnauthorized, "unauthorized")
	only.answers(only.request(body, "X-Gitlab-Token", hubKey), http.StatusUnauthorized, "unauthorized")
	other := newEndpoint(t, Secrets{GitLab: token})
	other.answers(other.requestTo("/github", deleted, "X-GitHub-Event", "delete", "X-GitHub-Delivery", "d-1", "X-Hub-Signature-256", sign("", deleted)), http.StatusUnauthorized, "unauthorized")
	only.has(0)
	other.has(0)
}

func TestReceiver_GitLabSigns(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: signKey})
	body := testdata(t, "gitlab/push-branch-deleted")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signKey, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	signed := func(id string, at time.Time, signedBody []byte, more string) *http.Request {
		stamp := fmt.Sprint(at.Unix())
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, signedBody)
		return e.request(body, "X-Gitlab-Token", "", "webhook-id", "key-1", "webhook-timestamp", stamp, "webhook-signature", more+"v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	now := time.Now()
	e.answers(signed("key-1", now.Add(-time.Hour), body, ""), http.StatusUnauthorized, "unauthorized")
	e.answers(signed("key-1", now.Add(time.Hour), body, ""), http.StatusUnauthorized, "unauthorized")
	e.answers(signed("key-2", now, body, ""), http.StatusUnauthorized, "unauthorized")
	e.answers(signed("key-1", now, append(bytes.Clone(body), ' '), ""), http.StatusUnauthorized, "unauthorized")
	e.answers(e.request(body, "X-Gitlab-Token", signKey), http.StatusUnauthorized, "unauthorized")
	e.has(0)
	e.answers(signed("key-1", now, body, "v1,b2xk v1a,eA== "), http.StatusOK, "queued")
	e.has(1)
}

func TestReceiver_RefusesWhatIsNoEvent(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token})
	body := testdata(t, "gitlab/push-branch-deleted")
	get := e.request(nil)
	get.Method = http.MethodGet
	if resp := e.answers(get, http.StatusMethodNotAllowed, "POST"); resp.Header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", resp.Header.Get("Allow"))
	}
	for _, path := range []string{"/", "/gitlab/x", "/gitlab.json", "/GitLab"} {
		e.answers(e.requestTo(path, body, "X-Gitlab-Token", token), http.StatusNotFound, "/gitlab or /github")
	}
	e.answers(e.request(body, "Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType, "application/json")
	e.answers(e.request(body, "Content-Type", ""), http.StatusUnsupportedMediaType, "application/json")
	e.answers(e.request([]byte("{")), http.StatusBadRequest, "the payload is no JSON")
	e.answers(e.request([]byte(`{"object_kind":[]}`)), http.StatusBadRequest, "another type than documented")
	e.answers(e.request(body, "Idempotency-Key", "../../x"), http.StatusBadRequest, "ID")
	e.has(0)
	e.answers(e.request(body, "Content-Type", "application/json; charset=utf-8"), http.StatusOK, "queued")
}

func TestReceiver_HugeBodies(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token})
	deleted := testdata(t, "gitlab/push-branch-deleted")
	large := append(bytes.Repeat([]byte(" "), 5<<20), deleted...)
	e.answers(e.request(large), http.StatusOK, "queued")
	huge := e.request(append(bytes.Repeat([]byte(" "), maxBody), deleted...), "Idempotency-Key", "key-2")
	e.answers(huge, http.StatusRequestEntityTooLarge, "10 MiB")
	unsaid := e.request(nil, "Idempotency-Key", "key-3")
	unsaid.Body, unsaid.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat(" ", maxBody)), bytes.NewReader(deleted))), -1
	e.answers(unsaid, http.StatusRequestEntityTooLarge, "10 MiB")
	e.has(1)
}

// TestReceiver_TruncatedBody ends a connection in the middle of a body. Nothing is
// kept, though what came is a whole event.
func TestReceiver_TruncatedBody(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token})
	body := testdata(t, "gitlab/push-branch-deleted")
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /gitlab HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Gitlab-Token: %s\r\nIdempotency-Key: key-1\r\nContent-Length: %d\r\n\r\n%s", token, len(body)+1, body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("it answers %q: %v", answer, err)
	}
	e.has(0)
}

// TestReceiver_SlowBodiesHoldNobody has many senders that never end, and one that
// does.
func TestReceiver_SlowBodiesHoldNobody(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token})
	body := testdata(t, "gitlab/push-branch-deleted")
	for range 100 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /gitlab HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: %s\r\nContent-Length: 1000\r\n\r\n{", token)
	}
	e.answers(e.request(body), http.StatusOK, "queued")
	e.has(1)
}

func TestReceiver_SaysWhenItCannotKeep(t *testing.T) {
	e := newEndpoint(t, Secrets{GitLab: token})
	body := testdata(t, "gitlab/push-branch-deleted")
	e.fail = fmt.Errorf("keep event: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	e.answers(e.request(body), http.StatusInsufficientStorage, "send it again")
	e.fail = errClosed
	e.answers(e.request(body), http.StatusServiceUnavailable, "send it again")
	if !strings.Contains(e.log.String(), "no space left on device") {
		t.Errorf("the log is %s", &e.log)
	}
	e.fail = nil
	e.answers(e.request(body), http.StatusOK, "queued")
	e.answers(e.request(body), http.StatusOK, "known already")
	e.has(1)
}

func TestServeHTTP_EndsSlowSenders(t *testing.T) {
	server, _ := serveHTTP(http.NotFoundHandler(), nil)
	if server.ReadHeaderTimeout == 0 || server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.ReadTimeout > 10*time.Second {
		t.Errorf("the server waits %v, %v, %v", server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout)
	}
}
