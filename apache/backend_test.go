package apache

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// TestBackend_ClosedKeptConnectionFailsNoRequest has an app that closes a kept
// connection as the next request comes on it. Apps close idle ones after
// seconds, and one POST then meets a connection that is being closed.
func TestBackend_ClosedKeptConnectionFailsNoRequest(t *testing.T) {
	f := newFront(t, testConfig())
	listener := listen(t, "127.0.0.1:0")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerOnce(conn)
		}
	}()
	apply(t, f, review.Site{Name: "brief", Host: "brief." + domain, Release: "r1", Backend: listener.Addr().String()})
	for i := range 50 {
		req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+host.Port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := host.Do(t, req, "brief."+domain, true); got.Status != 200 || got.Body != "hello" {
			t.Fatalf("request %d: %d %q", i+1, got.Status, got.Body)
		}
	}
}

// answerOnce answers a connection's first request as if it would answer more.
func answerOnce(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if _, err := http.ReadRequest(reader); err != nil {
		return
	}
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	reader.ReadByte() // the next request, or the end
}

// TestBackend_IsAskedAgainAsSoonAsItListens has an app that was away, as after
// a crash, and is back: the front must not remember it as broken.
func TestBackend_IsAskedAgainAsSoonAsItListens(t *testing.T) {
	f := newFront(t, testConfig())
	listener := listen(t, "127.0.0.1:0")
	address := listener.Addr().String()
	listener.Close()
	apply(t, f, review.Site{Name: "away", Host: "away." + domain, Release: "r1", Backend: address})
	for range 3 {
		expect(t, "away", 503, "")
	}
	go http.Serve(listen(t, address), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "back") }))
	expect(t, "away", 200, "back")
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// TestReload_ManyGenerationsOfSocketsLeaveRoom opens a WebSocket before each of
// many reloads. Each keeps a process of Apache's that has the configuration
// from before, and new visitors must still find one.
func TestReload_ManyGenerationsOfSocketsLeaveRoom(t *testing.T) {
	f := newFront(t, testConfig())
	chat := review.Site{Name: "chat", Host: "chat." + domain, Release: "r1", Backend: echoes(t)}
	for i := range 20 {
		other := app(t, "other", "the other app")
		other.Release = fmt.Sprintf("r%d", i)
		apply(t, f, chat, other)
		conn, err := net.Dial("tcp", "127.0.0.1:"+host.Port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: chat.%s\r\nAuthorization: Basic ZGVtbzpkZW1v\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", domain)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("socket %d: %v %v", i, resp, err)
		}
	}
	expect(t, "other", 200, "the other app")
}

// echoes is a backend that upgrades every connection and holds it.
func echoes(t *testing.T) string {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		rw.ReadByte()
	})}
	t.Cleanup(func() { server.Close() })
	go server.Serve(listener)
	return listener.Addr().String()
}

// TestBackend_ThatDoesNotWakeIsToldToBrowsersAndPrograms ends a connection without an
// answer, as the socket of an app does that cannot wake, or answers as an app that is busy.
func TestBackend_ThatDoesNotWakeIsToldToBrowsersAndPrograms(t *testing.T) {
	config := testConfig()
	config.Timeout = time.Second
	f := newFront(t, config)
	answer := ""
	listener := listen(t, "127.0.0.1:0")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if answer == "late" {
				t.Cleanup(func() { conn.Close() })
				continue
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			fmt.Fprint(conn, answer)
			conn.Close()
		}
	}()
	apply(t, f, review.Site{Name: "asleep", Host: "asleep." + domain, Release: "r1", Backend: listener.Addr().String(), Sleeps: true})
	page(t, "state/asleep."+domain+".html", "the state of asleep")
	page(t, "waking.html", "it wakes")
	ask := func(accept string) hosttest.Answer {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		return host.Do(t, req, "asleep."+domain, true)
	}
	if got := ask("text/html,*/*;q=0.8"); got.Status != 502 || got.Body != "the state of asleep" {
		t.Errorf("a browser gets %d %q, %v", got.Status, got.Body, got.Header)
	}
	if got := ask("*/*"); got.Status != 502 || got.Body != "The review app asleep is waking and takes long, or does not wake: ask again.\n" || got.Header.Get("Retry-After") != "5" {
		t.Errorf("a program gets %d %q, %v", got.Status, got.Body, got.Header)
	}
	answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 77\r\nContent-Length: 4\r\n\r\nbusy"
	if got := ask("*/*"); got.Status != 503 || got.Body != "busy" || strings.Join(got.Header.Values("Retry-After"), ",") != "77" {
		t.Errorf("the app's own answer: %d %q, %v", got.Status, got.Body, got.Header)
	}
	answer = "late"
	if got := ask("text/html"); got.Status != 502 || got.Body != "it wakes" || got.Header.Get("Retry-After") != "5" {
		t.Errorf("a browser gets %d %q, %v of what takes long", got.Status, got.Body, got.Header)
	}
	if got := ask("*/*"); got.Status != 502 || got.Body != "The review app asleep is waking and takes long, or does not wake: ask again.\n" {
		t.Errorf("a program gets %d %q, %v of what takes long", got.Status, got.Body, got.Header)
	}
	listener.Close()
	if got := ask("text/html"); got.Status != 503 || got.Body != "it wakes" || got.Header.Get("Retry-After") != "5" {
		t.Errorf("a browser gets %d %q, %v of what does not listen", got.Status, got.Body, got.Header)
	}
	if got := ask("*/*"); got.Status != 503 || got.Body != "The review app asleep is waking, or is busy: ask again.\n" || got.Header.Get("Retry-After") != "5" {
		t.Errorf("a program gets %d %q, %v of what does not listen", got.Status, got.Body, got.Header)
	}
}
