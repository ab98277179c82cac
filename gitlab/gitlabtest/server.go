// Package gitlabtest is a GitLab for tests: its REST API, as far as this program
// asks for it, over a state that the test sets.
//
// Its answers have every field that GitLab's documentation shows (testdata has one
// of each), its pages GitLab's headers and ETags. Unlike GitLab it answers 400 to a
// parameter that it does not know, so that none is asked for in vain. It counts what
// it is asked and fails when it is told to.
package gitlabtest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
)

// The endpoints, as faults and counts name them.
const (
	All             = "all"
	ProjectOne      = "project"
	BranchList      = "branches"
	BranchOne       = "branch"
	EnvironmentList = "environments"
	EnvironmentStop = "stop"
	MergeRequests   = "merge requests"
	NoteList        = "notes"
	NoteCreate      = "create note"
	NoteUpdate      = "update note"
	MemberOne       = "member"
	JobOne          = "job"
	TokenSelf       = "token"
	UserMe          = "user"
	UserOne         = "users"
	unknown         = "unknown"
)

// Server is a running GitLab. It is safe to use from many goroutines.
type Server struct {
	URL   string // http://127.0.0.1:41234
	Token string // that it wants

	http      *httptest.Server
	endpoints []endpoint
	closing   chan struct{}

	mu          sync.Mutex
	user        User
	scopes      []string // of the token
	expires     string
	projects    map[int64]*Project
	faults      map[string]*Fault
	requests    map[string]int
	asked       []string
	notModified int
	bare304     bool
	lastID      int64
}

// New starts a GitLab without projects on a free port of loopback. Close ends it.
func New() *Server {
	s := &Server{
		Token:    "glpat-a-token-for-tests",
		closing:  make(chan struct{}),
		user:     User{ID: 77},
		scopes:   []string{"api"},
		projects: map[int64]*Project{},
		faults:   map[string]*Fault{},
		requests: map[string]int{},
		lastID:   1000,
	}
	s.endpoints = s.all()
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends the server and what hangs in it.
func (s *Server) Close() {
	close(s.closing)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Requests tells how often each endpoint was asked since the last Reset.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for endpoint, n := range s.requests {
		counts[endpoint] = n
	}
	return counts
}

// Asked lists what was asked since the last Reset: GET /api/v4/projects/7.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// NotModified tells how many requests were answered with 304 since the last Reset.
func (s *Server) NotModified() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notModified
}

// Reset forgets what was asked.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.requests)
	s.asked, s.notModified = nil, 0
}

// BareNotModified has every 304 come without the headers of pages, as some proxies
// have it.
func (s *Server) BareNotModified() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bare304 = true
}

// reply is an answer to be.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *reply) write(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}

// call is a request that has been understood.
type call struct {
	*http.Request
	args    map[string]string // of the path: project, branch …
	query   url.Values
	project *Project // nil: there is none to be seen
}

// ServeHTTP answers, so that a test may put the server behind a proxy, a sub-path
// or TLS.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, endpoint, answer := s.route(r)
	s.mu.Lock()
	s.requests[endpoint]++
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	fault := s.fault(endpoint)
	if fault != nil && fault.Status != 0 {
		// It does nothing.
		answer = func(*call) *reply {
			return object(fault.Status, map[string]any{"message": http.StatusText(fault.Status)})
		}
	}
	good := s.answer(c, answer)
	if fault != nil {
		s.spoil(w, r, fault, good)
		return
	}
	good.write(w)
}

// answer does what is asked for, one request at a time.
func (s *Server) answer(c *call, answer func(*call) *reply) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	var good *reply
	switch {
	case c.Header.Get("Private-Token") != s.Token && c.Header.Get("Authorization") != "Bearer "+s.Token:
		good = message(http.StatusUnauthorized, "401 Unauthorized")
	default:
		if p := s.projects[c.number("project")]; s.sees(p) {
			c.project = p
		}
		good = answer(c)
	}
	good.header.Set("Cache-Control", "max-age=0, private, must-revalidate")
	good.header.Set("Vary", "Origin")
	if c.Method == http.MethodGet && good.status == http.StatusOK {
		s.tag(c, good)
	}
	return good
}

// tag gives the answer its ETag, or takes the body away if the client has it.
func (s *Server) tag(c *call, good *reply) {
	sum := md5.Sum(good.body)
	etag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	good.header.Set("ETag", etag)
	if c.Header.Get("If-None-Match") != etag {
		return
	}
	s.notModified++
	good.status, good.body = http.StatusNotModified, nil
	good.header.Del("Content-Type")
	if s.bare304 {
		good.header = http.Header{"Etag": {etag}}
	}
}

func object(status int, value any) *reply {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return &reply{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

func message(status int, text string) *reply {
	return object(status, map[string]any{"message": text})
}
