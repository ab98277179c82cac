package gitlabtest

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with an endpoint's answers.
type Fault struct {
	Skip  int // requests that are answered well, first
	Times int // requests that it then goes wrong for; 0: all

	Delay    time.Duration // before the answer
	Hang     bool          // no answer, until the client or the server leaves
	Drop     bool          // the connection is closed without an answer
	Truncate bool          // the answer breaks off in the middle
	Empty    bool          // an empty list, with the headers of the full one

	Status int         // instead of the answer; 0: its own
	Header http.Header // in addition; an empty value removes one
	Body   string      // instead of the answer's; "": its own
	Edit   func(body []byte) []byte
}

// Fail makes an endpoint fail: one of the constants, or All. It replaces the fault
// that the endpoint had.
func (s *Server) Fail(endpoint string, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[endpoint] = &fault
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// fault returns the one that the request meets, or nil.
func (s *Server) fault(endpoint string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{endpoint, All} {
		f := s.faults[name]
		if f == nil {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times == 1 {
			delete(s.faults, name)
		} else if f.Times > 1 {
			f.Times--
		}
		met := *f
		return &met
	}
	return nil
}

// spoil answers as the fault wants it.
func (s *Server) spoil(w http.ResponseWriter, r *http.Request, f *Fault, good *reply) {
	if f.Delay > 0 || f.Hang {
		var after <-chan time.Time // nil, of a hang: never
		if !f.Hang {
			after = time.After(f.Delay)
		}
		select {
		case <-after:
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 {
		good.status = f.Status
	}
	if f.Empty {
		good.body = []byte("[]")
	}
	if f.Body != "" {
		good.body = []byte(f.Body)
	}
	if f.Edit != nil {
		good.body = f.Edit(bytes.Clone(good.body))
	}
	for name, values := range f.Header {
		good.header[http.CanonicalHeaderKey(name)] = values
		if len(values) == 0 || values[0] == "" {
			delete(good.header, http.CanonicalHeaderKey(name))
		}
	}
	if !f.Truncate {
		good.write(w)
		return
	}
	good.header.Set("Content-Length", strconv.Itoa(len(good.body)))
	good.body = good.body[:len(good.body)/2]
	good.write(w)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
