package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const patience = 20 * time.Second

// client is one visitor. One that keeps its connection asks again, as browsers
// do, when the server closes it just as a GET is sent (RFC 9112, 9.3.1).
type client struct{ http.Client }

func newClient(keep bool) *client {
	return &client{http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: !keep}}}
}

func (c *client) get(t Target) error { return c.ask(t, http.MethodGet, "") }

func (c *client) post(t Target) error { return c.ask(t, http.MethodPost, "a form") }

func (c *client) ask(t Target, method, body string) error {
	req, err := t.request(method, "/", strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	return check(resp, "answered by ")
}

// stream reads an answer that is long in coming.
func stream(t Target, seconds int) error {
	req, err := t.request(http.MethodGet, fmt.Sprintf("/stream?seconds=%d", seconds), nil)
	if err != nil {
		return err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	return check(resp, fmt.Sprintf("line %d\nend\n", seconds*10-1))
}

// check reads the answer, which must be 200 and hold text.
func check(resp *http.Response, text string) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("cut after %d bytes: %w", len(body), err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), text) {
		return fmt.Errorf("status %d, %q", resp.StatusCode, body[:min(len(body), 200)])
	}
	return nil
}

// socket upgrades a connection and has a line echoed every tenth of a second.
func socket(t Target, duration time.Duration) error {
	conn, err := net.Dial("tcp", t.Address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	reader, err := t.upgrade(conn)
	if err != nil {
		return err
	}
	for end, i := time.Now().Add(duration), 0; time.Now().Before(end); i++ {
		if err := echo(conn, reader, fmt.Sprintf("line %d\n", i)); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func (t Target) upgrade(conn net.Conn) (*bufio.Reader, error) {
	req, err := t.request(http.MethodGet, "/socket", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("the upgrade got status %d", resp.StatusCode)
	}
	return reader, nil
}

func echo(conn net.Conn, reader *bufio.Reader, line string) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, line); err != nil {
		return err
	}
	got, err := reader.ReadString('\n')
	if err == nil && got != line {
		err = errors.New("another line came back")
	}
	return err
}

func (t Target) request(method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequest(method, "http://"+t.Address+path, body)
	if err != nil {
		return nil, err
	}
	req.Host = t.Host
	req.SetBasicAuth(t.User, t.Password)
	return req, nil
}
