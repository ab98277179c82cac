package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	visitors = 8
	measured = 400 * time.Millisecond
)

// throughput is how many requests a second Apache answers to visitors who keep their
// connections and ask again at once.
func (b *bench) throughput(e entrance) float64 {
	var answered atomic.Int64
	var group errgroup.Group
	start := time.Now()
	for range visitors {
		group.Go(func() error {
			for time.Since(start) < measured {
				if err := keepAsking(b.address(), e, func() bool { answered.Add(1); return time.Since(start) < measured }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.failed(group.Wait())
	return float64(answered.Load()) / time.Since(start).Seconds()
}

// keepAsking asks over one connection until Apache closes it or more says no.
func keepAsking(address string, e entrance, more func() bool) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		answer, err := ask(conn, reader, e)
		if err != nil {
			return err
		}
		if !more() || answer.last {
			return nil
		}
	}
}

type answer struct {
	last   bool // of this connection
	cookie string
}

// ask sends one request and reads the whole answer, which must be 200. The request is
// written by hand, so that the visitors take little of the processor from Apache.
func ask(conn net.Conn, reader *bufio.Reader, e entrance) (answer, error) {
	if _, err := io.WriteString(conn, "GET /asset HTTP/1.1\r\nHost: "+e.host+"\r\n"+e.header+"\r\n"); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s answered %s", e.host, resp.Status)
	}
	return answer{resp.Close, resp.Header.Get("Set-Cookie")}, nil
}

// ticketOf logs in and returns the cookie that the gate gives.
func ticketOf(address string, e entrance) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	answer, err := ask(conn, bufio.NewReader(conn), e)
	ticket, _, _ := strings.Cut(answer.cookie, ";")
	if err == nil && ticket == "" {
		err = fmt.Errorf("%s gave no ticket", e.host)
	}
	return ticket, err
}
