package apache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
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

// errEnded is what becomes of an Apache that cannot take its configuration although
// configtest did.
var errEnded = &review.Failure{
	What:  "Apache has ended when it was reloaded",
	State: "its virtual hosts are as before, but it may not run",
	Hint:  "not your branch: the host's administrator should read Apache's error log, mend what it says, and see that Apache runs",
}

// listens tells whether anybody takes connections where Apache should.
func (f *Front) listens() bool {
	conn, err := net.DialTimeout("tcp", f.address(), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

const (
	// endedAfter is how long nobody must listen any more.
	endedAfter = 2 * time.Second
	// otherAfter is how long somebody else may answer in our place.
	otherAfter = 3 * time.Second
)

// ended waits until Apache has taken the configuration, or has ended by it. That
// somebody answers who does not know our hosts is for Serves to tell.
func (f *Front) ended(ctx context.Context, generation string) bool {
	client, began, refused := f.client(generationHost), time.Now(), time.Time{}
	for ctx.Err() == nil {
		header, err := f.ask(ctx, client, generationHost)
		switch {
		case err == nil && header.Get("X-Review-Front") == generation:
			return false
		case errors.Is(err, syscall.ECONNREFUSED):
			if refused.IsZero() {
				refused = time.Now()
			}
			if time.Since(refused) > endedAfter {
				return true
			}
		default:
			refused = time.Time{}
			if time.Since(began) > otherAfter {
				return false
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
	return false
}

// release is the release that Apache, not the app, has for the host: the gate answers
// 401 and names it.
func (f *Front) release(ctx context.Context, client *http.Client, host string) (string, error) {
	header, err := f.ask(ctx, client, host)
	return header.Get("X-Review-Release"), err
}

// ask asks Apache for the root of the host. With a password that is nobody's, the
// answer is of the gate, or a fault of this machine: only then does Apache open the
// file of users.
func (f *Front) ask(ctx context.Context, client *http.Client, host string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, f.cfg.listenScheme()+"://"+f.address()+"/", nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	req.SetBasicAuth("review-executor", "probe")
	req.Header.Set("User-Agent", "review-executor")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusInternalServerError && f.cfg.Login == LoginPassword {
		return nil, errors.New("it answers 500 to a password; Apache's own user must be able to read apache.htpasswd")
	}
	return resp.Header, nil
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
