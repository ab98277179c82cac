// Package registrytest gives tests a container registry of their own, in
// memory and on a free port of loopback, that counts what it is asked and
// fails when it is told to.
package registrytest

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is a running registry. It speaks plain HTTP, which Podman accepts
// from 127.0.0.1 on a host of hosttest. It is safe to use from many goroutines.
type Registry struct {
	Addr string // 127.0.0.1:41234

	store  http.Handler
	mu     sync.Mutex
	asked  []string // paths of the manifests that were asked for
	status int      // of the next failures
	times  int
	text   string
	user   string // "": everybody may read
	secret string
	stall  chan struct{} // closed when a stalled request has come; nil: none stalls
}

// New starts a registry that ends with the test.
func New(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{store: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // first
	r.Addr = strings.TrimPrefix(server.URL, "http://")
	return r
}

// Name is the full name of an image in the registry: 127.0.0.1:41234/shop:1.
func (r *Registry) Name(image string) string { return r.Addr + "/" + image }

// Protect lets in only who has the password.
func (r *Registry) Protect(user, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.secret = user, password
}

// Fail answers the next requests for a manifest with the status, times times.
func (r *Registry) Fail(status, times int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.times, r.text = status, times, text
}

// Stall leaves requests for a manifest without an answer until who asks goes
// away. The channel is closed when the first one has come.
func (r *Registry) Stall() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stall = make(chan struct{})
	return r.stall
}

// Asked is how many requests for a manifest of the repository have come so far.
func (r *Registry) Asked(repository string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, path := range r.asked {
		if strings.HasPrefix(path, "/v2/"+repository+"/manifests/") {
			n++
		}
	}
	return n
}

func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	stall, status, text := r.admit(req)
	if stall != nil {
		<-req.Context().Done()
		return
	}
	if status != 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="registrytest"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, text)
		return
	}
	r.store.ServeHTTP(w, req)
}

// admit notes the request and tells what is to happen instead of an answer.
func (r *Registry) admit(req *http.Request) (stall chan struct{}, status int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	user, password, _ := req.BasicAuth()
	if r.user != "" && (user != r.user || password != r.secret) {
		return nil, http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`
	}
	if !strings.Contains(req.URL.Path, "/manifests/") {
		return nil, 0, ""
	}
	r.asked = append(r.asked, req.URL.Path)
	if r.times > 0 {
		r.times--
		return nil, r.status, r.text
	}
	if r.stall != nil {
		select {
		case <-r.stall:
		default:
			close(r.stall)
		}
	}
	return r.stall, 0, ""
}
