package main

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gate is a way to the Podman service on which the first request of a kind does
// not pass.
type gate struct {
	config  string        // of a program that goes this way
	reached chan struct{} // closed when the request has come
	open    func()        // lets it pass
	drop    func()        // loses it, as if whoever sent it was killed before
}

// newGate keeps the request back: "POST /v…/networks/create" is found by
// "POST" and "/networks/create".
func newGate(t *testing.T, method, path string) *gate {
	t.Helper()
	var once, deciding sync.Once
	decided, lost := make(chan struct{}), false
	decide := func(drop bool) func() {
		return func() { deciding.Do(func() { lost = drop; close(decided) }) }
	}
	g := &gate{reached: make(chan struct{}), open: decide(false), drop: decide(true)}
	g.listen(t, func(request []byte) bool {
		pass := true
		if matches(request, method, path) {
			once.Do(func() {
				close(g.reached)
				<-decided
				pass = !lost
			})
		}
		return pass
	})
	t.Cleanup(g.drop)
	return g
}

// holds waits until the request of a stage has come.
func (g *gate) holds(s *stageProcess) {
	s.t.Helper()
	select {
	case <-g.reached:
	case <-s.done:
		s.t.Fatalf("the stage has ended without the request\n%s%s", s.stdout, s.stderr)
	}
}

// newBreak breaks the connection at every such request.
func newBreak(t *testing.T, method, path string) *gate {
	t.Helper()
	g := &gate{}
	g.listen(t, func(request []byte) bool { return !matches(request, method, path) })
	return g
}

func matches(request []byte, method, path string) bool {
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	return bytes.HasPrefix(line, []byte(method+" ")) && bytes.Contains(line, []byte(path))
}

// listen passes on what pass does not refuse.
func (g *gate) listen(t *testing.T, pass func(request []byte) bool) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	g.config = configWith(t, host.Socket(), "unix://"+socket)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(client.(*net.UnixConn), pass)
		}
	}()
}

func forward(client *net.UnixConn, pass func([]byte) bool) {
	defer client.Close()
	podman, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: strings.TrimPrefix(host.Socket(), "unix://"), Net: "unix"})
	if err != nil {
		return
	}
	defer podman.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		io.Copy(client, podman)
		client.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if !pass(buffer[:n]) {
			return
		}
		if _, err := podman.Write(buffer[:n]); err != nil {
			return
		}
	}
	podman.CloseWrite() // the end of a script's stdin
	<-answered
}
