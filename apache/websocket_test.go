package apache

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// echoesLines is an app that upgrades a connection and echoes its lines.
func echoesLines(t *testing.T, name string) review.Site {
	return answers(t, name, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"X-Got: "+r.Header.Get("Authorization")+"|"+r.Header.Get("Cookie")+"\r\n\r\n")
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(conn, "echo "+line)
		}
	})
}

func TestWebSocket_OverTLSNeedsTheLogin(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	apply(t, f.Front, echoesLines(t, "chat"))
	mine := f.ticket(t, "chat")
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"nothing":        {"", 401},
		"wrong password": {"Authorization: " + wrongPassword + "\r\n", 401},
		"wrong ticket":   {"Cookie: " + mine + "0\r\n", 401},
		"a bearer token": {"Authorization: Bearer x\r\n", 401},
		"ticket":         {"Cookie: " + mine + "\r\n", 101},
		"password":       {"Authorization: " + password + "\r\n", 101},
	} {
		conn := f.dial(t, "chat", "http/1.1")
		fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: chat.%s\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", domain, c.header)
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		for _, line := range []string{"one\n", "two\n"} {
			fmt.Fprint(conn, line)
			if got, err := reader.ReadString('\n'); got != "echo "+line {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		}
		if got := resp.Header.Get("X-Got"); got != "|" {
			t.Errorf("%s: the app got %q", name, got)
		}
	}
}
