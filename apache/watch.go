package apache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/procfs"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	serveTimeout = 15 * time.Second
	lookEvery    = 50 * time.Millisecond
	// quietLooks is how many looks in a row must find no connection: a child of
	// Apache that is about to leave may still have been handed one.
	quietLooks = 6
)

// Serves returns nil once Apache answers with the site's release.
func (f *Front) Serves(ctx context.Context, site review.Site) error {
	ctx, cancel := context.WithTimeout(ctx, serveTimeout)
	defer cancel()
	client := f.client(site.Host)
	var (
		got string
		err error // the last that Apache is to blame for
	)
	for {
		seen, problem := f.release(ctx, client, site.Host)
		if problem == nil && seen == site.Release {
			return nil
		}
		if ctx.Err() == nil || err == nil {
			got, err = seen, problem
		}
		select {
		case <-ctx.Done():
			return notServing(site, f.address(), got, err)
		case <-time.After(lookEvery):
		}
	}
}

func notServing(site review.Site, address, got string, err error) error {
	hint := "not your branch: the host's administrator should check apache.listen, and that Apache includes apache.vhost_dir"
	if errors.Is(err, context.DeadlineExceeded) { // it listens, but nobody takes the connection
		hint = "not your branch: WebSockets may hold every process that Apache may start; the host's administrator should raise its ServerLimit and restart it"
	}
	if err == nil {
		err = fmt.Errorf("%s answered for release %q, not %q", address, got, site.Release)
	}
	return &review.Failure{
		What:  fmt.Sprintf("Apache was reloaded but does not serve %s", site.Host),
		Cause: err,
		Hint:  hint,
	}
}

// release asks Apache, not the app: the gate answers 401 and names the release.
func (f *Front) release(ctx context.Context, client *http.Client, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, f.cfg.listenScheme()+"://"+f.address()+"/", nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	// Only with a password does Apache open the file of users. This one is
	// nobody's, so the answer is 401 or a fault of the host.
	req.SetBasicAuth("review-executor", "probe")
	req.Header.Set("User-Agent", "review-executor")
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusInternalServerError && f.cfg.Login == LoginPassword {
		return "", errors.New("it answers 500 to a password; Apache's own user must be able to read apache.htpasswd")
	}
	return resp.Header.Get("X-Review-Release"), nil
}

func (f *Front) client(host string) *http.Client {
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Who answers is not in question here, only with which release.
			TLSClientConfig: &tls.Config{ServerName: host, InsecureSkipVerify: true}, //nolint:gosec // our own address
		},
	}
}

// address is where Apache listens, as seen from this host.
func (f *Front) address() string {
	host, port, _ := net.SplitHostPort(f.cfg.Listen)
	if host == "*" || host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	if host == "::" {
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// Drain returns when nothing on this host is connected to the backend any
// more, or when ctx ends. It reads the kernel's list of connections, so a
// request under way, a long answer and a WebSocket count alike.
func (f *Front) Drain(ctx context.Context, backend string) {
	address, err := netip.ParseAddrPort(backend)
	if err != nil {
		return
	}
	for quiet := 0; quiet < quietLooks; {
		quiet++
		if connected(address) {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

const established = 1 // TCP_ESTABLISHED in /proc/net/tcp

func connected(backend netip.AddrPort) bool {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return true // unknown: use the whole drain time
	}
	table, err := proc.NetTCP()
	if err != nil {
		return true
	}
	for _, line := range table {
		remote, ok := netip.AddrFromSlice(line.RemAddr)
		if ok && line.St == established && uint16(line.RemPort) == backend.Port() && remote.Unmap() == backend.Addr() {
			return true
		}
	}
	return false
}
