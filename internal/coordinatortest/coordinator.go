// Package coordinatortest gives tests a GitLab as gitlab-runner sees it: the API for
// runners and, over HTTP, the repository of the project group/shop. Source:
// network/gitlab.go and network/trace.go of gitlab-runner.
package coordinatortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Coordinator is a running GitLab. It gives its jobs to whatever runner asks, in the
// order in which they came.
type Coordinator struct {
	// URL is its address as the runner and the jobs' containers reach it.
	URL string
	// Gone, if there is one, is closed when the runner has ended, and no job goes on.
	Gone <-chan struct{}

	t   testing.TB
	dir string // a checkout of the project

	mu      sync.Mutex
	queue   []*Job
	jobs    map[int64]*Job
	version string // of the runner, as it introduces itself
}

// Start answers on l, until the test ends, as the GitLab whose URL is url, and whose project has the
// checkout in dir as its repository.
func Start(t testing.TB, l net.Listener, url, dir string) *Coordinator {
	t.Helper()
	c := &Coordinator{URL: url, t: t, dir: dir, jobs: map[int64]*Job{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v4/runners/verify", verify)
	mux.HandleFunc("POST /api/v4/jobs/request", c.request)
	mux.HandleFunc("PATCH /api/v4/jobs/{id}/trace", c.withJob(appendTrace))
	mux.HandleFunc("PUT /api/v4/jobs/{id}", c.withJob(updateJob))
	mux.HandleFunc("POST /api/v4/jobs/{id}/artifacts", c.withJob(receiveArtifacts))
	mux.HandleFunc("GET /api/v4/jobs/{id}/artifacts", c.withJob(sendArtifacts))
	mux.Handle("/group/", repository(t, dir))
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux}}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // first
	return c
}

// SHA is the commit that jobs run on: the project's newest.
func (c *Coordinator) SHA() string {
	c.t.Helper()
	out, err := exec.Command("git", "-C", c.dir, "rev-parse", "HEAD").Output()
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Version is that of the runner, once it has asked for a job.
func (c *Coordinator) Version() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// repository serves the project as git's own program does behind a web server.
func repository(t testing.TB, dir string) http.Handler {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "group"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.git", "theme.git"} { // the latter as a submodule
		if err := os.Symlink(filepath.Join(dir, ".git"), filepath.Join(root, "group", name)); err != nil {
			t.Fatal(err)
		}
	}
	programs, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"),
		Root: "/",
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	}
}

var lastJob atomic.Int64

// Push queues a job and returns it at once.
func (c *Coordinator) Push(spec Spec) *Job {
	j := &Job{
		Spec: spec, ID: 4000 + lastJob.Add(1), Artifacts: map[string][]byte{},
		t: c.t, coordinator: c, sha: c.SHA(), status: "running", finished: make(chan struct{}),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs[j.ID] = j
	c.queue = append(c.queue, j)
	return j
}

// verify takes any runner's token.
func verify(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"id": 12, "token": asked.Token})
}

// request hands out the oldest job.
func (c *Coordinator) request(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Info struct{ Version string }
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = asked.Info.Version
	if len(c.queue) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(next.response())
}

// withJob finds the request's job and holds the lock meanwhile.
func (c *Coordinator) withJob(handle func(*Job, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		j := c.jobs[id]
		if j == nil {
			http.NotFound(w, r)
			return
		}
		if t := r.Header; t.Get("Job-Token") != j.token() && t.Get("Private-Token") != j.token() { // so called before 18
			http.Error(w, "the job's token is wrong", http.StatusForbidden)
			return
		}
		handle(j, w, r)
	}
}

// appendTrace takes a piece of the job log, if it follows what is there.
func appendTrace(j *Job, w http.ResponseWriter, r *http.Request) {
	piece, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := http.StatusRequestedRangeNotSatisfiable
	if from, _, _ := strings.Cut(r.Header.Get("Content-Range"), "-"); from == strconv.Itoa(len(j.trace)) {
		j.trace = append(j.trace, piece...)
		status = http.StatusAccepted
	}
	w.Header().Set("Range", "0-"+strconv.Itoa(len(j.trace)))
	w.Header().Set("X-GitLab-Trace-Update-Interval", "1")
	w.Header().Set("Job-Status", j.status)
	w.WriteHeader(status)
}

// updateJob takes the job's result; "running" only says that it still does.
func updateJob(j *Job, w http.ResponseWriter, r *http.Request) {
	var result Result
	if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Job-Status", j.status)
	if result.State == "running" || j.result.State != "" {
		return
	}
	j.result = result
	close(j.finished)
}

// receiveArtifacts keeps an upload by its type: archive, metadata, dotenv.
func receiveArtifacts(j *Job, w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	j.Artifacts[r.URL.Query().Get("artifact_type")] = data
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, "{}")
}

func sendArtifacts(j *Job, w http.ResponseWriter, r *http.Request) {
	archive, found := j.Artifacts["archive"]
	if !found {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(archive)
}
