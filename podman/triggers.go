package podman

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/containers/podman/v5/pkg/bindings"
)

// maxImageConfig is the size of an image's configuration that is read.
const maxImageConfig = 4 << 20

// Triggers returns the instructions that an image adds to a build upon it. See
// review.Containers.
//
// Nothing in Podman's API tells them. So Podman is had push the image to a
// registry of ours, on loopback and for this one call, that has got every layer
// already and so is only given the configuration: no layer is read or sent.
func (p *Podman) Triggers(ctx context.Context, id string) ([]string, error) {
	if !strings.HasPrefix(p.socket, "unix://") {
		return nil, errors.New("what an image adds to a build can only be told by a Podman on this host")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("look for triggers of image %s: %w", id, err)
	}
	sink := &configSink{config: "sha256:" + id}
	server := &http.Server{Handler: sink}      //nolint:gosec // one client, for one call
	go func() { _ = server.Serve(listener) }() // until it is closed
	defer func() { _ = server.Close() }()
	if err := p.push(ctx, id, listener.Addr().String()+"/image:config"); err != nil {
		return nil, p.explain(err, "look for triggers of image %s", id)
	}
	return sink.triggers()
}

func (p *Podman) push(ctx context.Context, id, destination string) error {
	conn, err := bindings.GetClient(p.conn)
	if err != nil {
		return err
	}
	query := url.Values{"destination": {destination}, "tlsVerify": {"false"}, "quiet": {"true"}}
	header, err := source{}.authHeader()
	if err != nil {
		return err
	}
	resp, err := conn.DoRequest(ctx, nil, http.MethodPost, "/images/%s/push", query, header, id)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && (!resp.IsSuccess() || bytes.Contains(answer, []byte(`"error"`))) {
		err = errors.New(errorMessage(answer))
	}
	return err
}

// configSink is a registry that takes one blob, and says of every other that it is
// there.
type configSink struct {
	config string // the blob's digest

	mu   sync.Mutex
	blob bytes.Buffer
}

func (s *configSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/blobs/"+s.config):
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/manifests/"):
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/image/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPatch || r.Method == http.MethodPut && !strings.Contains(r.URL.Path, "/manifests/"):
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, err := io.Copy(&s.blob, http.MaxBytesReader(w, r.Body, maxImageConfig)); err != nil {
			http.Error(w, "too big", http.StatusRequestEntityTooLarge)
			return
		}
		w.Header().Set("Location", "/v2/image/blobs/uploads/1")
		w.WriteHeader(map[string]int{http.MethodPatch: http.StatusAccepted, http.MethodPut: http.StatusCreated}[r.Method])
	case r.Method == http.MethodPut:
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (s *configSink) triggers() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if digest := fmt.Sprintf("sha256:%x", sha256.Sum256(s.blob.Bytes())); digest != s.config {
		return nil, fmt.Errorf("the image's configuration is %s, not %s", digest, s.config)
	}
	var image struct {
		Config struct{ OnBuild []string }
	}
	if err := json.Unmarshal(s.blob.Bytes(), &image); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	return image.Config.OnBuild, nil
}
