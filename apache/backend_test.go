package apache

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

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
