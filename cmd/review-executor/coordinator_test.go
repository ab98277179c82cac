package main

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
	"testing"
)

// coordinator is GitLab as gitlab-runner sees it: the API for runners and, over
// HTTP, the repository of group/shop. Source: network/gitlab.go and
// network/trace.go of gitlab-runner.
type coordinator struct {
	t       testing.TB
	project project
	server  *httptest.Server
	sha     string

	mu      sync.Mutex
	queue   []*gitlabJob
	jobs    map[int64]*gitlabJob
	version string          // of the runner, as it introduces itself
	gone    <-chan struct{} // closed when the runner has ended
}

// newCoordinator serves the project's repository and its jobs.
func newCoordinator(t testing.TB, p project) *coordinator {
	t.Helper()
	c := &coordinator{t: t, project: p, sha: p.git("rev-parse", "HEAD"), jobs: map[int64]*gitlabJob{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v4/runners/verify", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
	})
	mux.HandleFunc("POST /api/v4/jobs/request", c.request)
	mux.HandleFunc("PATCH /api/v4/jobs/{id}/trace", c.withJob(appendTrace))
	mux.HandleFunc("PUT /api/v4/jobs/{id}", c.withJob(updateJob))
	mux.HandleFunc("POST /api/v4/jobs/{id}/artifacts", c.withJob(receiveArtifacts))
	mux.HandleFunc("GET /api/v4/jobs/{id}/artifacts", c.withJob(sendArtifacts))
	mux.Handle("/group/", repository(t, p))

	// The job's containers are in a network of their own, so loopback alone will not do.
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	c.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	c.server.Start()
	t.Cleanup(c.server.Close)
	return c
}

// addSubmodule commits a submodule at the commit that there is now.
func (c *coordinator) addSubmodule(dir, url string) {
	c.t.Helper()
	c.project.git("update-index", "--add", "--cacheinfo", "160000,"+c.sha+","+dir)
	modules := fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", dir, dir, url)
	if err := os.WriteFile(filepath.Join(c.project.dir, ".gitmodules"), []byte(modules), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.project.git("add", ".gitmodules")
	c.project.git("commit", "--quiet", "--message", "a submodule")
	c.sha = c.project.git("rev-parse", "HEAD")
}

// repository serves the project as git's own program does behind a web server.
func repository(t testing.TB, p project) http.Handler {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "group"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.git", "theme.git"} { // the latter as a submodule
		if err := os.Symlink(filepath.Join(p.dir, ".git"), filepath.Join(root, "group", name)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(dir)), "git-http-backend"),
		Root: "/",
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	}
}

func (c *coordinator) port() string {
	return strconv.Itoa(c.server.Listener.Addr().(*net.TCPAddr).Port)
}

// url is the coordinator's as a job's container reaches it. On the host itself
// nobody knows the name: see startRunner.
func (c *coordinator) url() string { return "http://host.containers.internal:" + c.port() }

// push queues a job and returns it at once.
func (c *coordinator) push(spec jobSpec) *gitlabJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := &gitlabJob{
		coordinator: c, jobSpec: spec, id: 4000 + lastJob.Add(1),
		status: "running", finished: make(chan struct{}), artifacts: map[string][]byte{},
	}
	c.jobs[j.id] = j
	c.queue = append(c.queue, j)
	return j
}

// request hands out the oldest job.
func (c *coordinator) request(w http.ResponseWriter, r *http.Request) {
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
func (c *coordinator) withJob(handle func(*gitlabJob, http.ResponseWriter, *http.Request)) http.HandlerFunc {
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
func appendTrace(j *gitlabJob, w http.ResponseWriter, r *http.Request) {
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
func updateJob(j *gitlabJob, w http.ResponseWriter, r *http.Request) {
	var result jobResult
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
func receiveArtifacts(j *gitlabJob, w http.ResponseWriter, r *http.Request) {
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
	j.artifacts[r.URL.Query().Get("artifact_type")] = data
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, "{}")
}

func sendArtifacts(j *gitlabJob, w http.ResponseWriter, r *http.Request) {
	archive, found := j.artifacts["archive"]
	if !found {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(archive)
}

// jobSpec is what a test writes of a job, as in .gitlab-ci.yml.
type jobSpec struct {
	image               string
	services            []map[string]any
	environment, action string
	script, afterScript []string
	variables           []string // KEY=VALUE, behind GitLab's own; file:KEY=CONTENTS
	cache, artifacts    []map[string]any
	needs               *gitlabJob // whose artifacts it gets
}

// jobResult is how the runner says that a job ended.
type jobResult struct {
	State         string `json:"state"`
	FailureReason string `json:"failure_reason"`
	ExitCode      int    `json:"exit_code"`
}

// gitlabJob is a job and what the runner has sent of it.
type gitlabJob struct {
	*coordinator
	jobSpec
	id        int64
	status    string // as the runner is told it
	trace     []byte
	artifacts map[string][]byte
	result    jobResult
	finished  chan struct{}
}

func (j *gitlabJob) token() string { return fmt.Sprintf("glcbt-test-%d", j.id) }

// response is the job as the runner gets it. Source: common/spec/spec.go.
func (j *gitlabJob) response() any {
	type object = map[string]any
	predefined := []string{fmt.Sprintf("CI_JOB_ID=%d", j.id), "CI_COMMIT_SHA=" + j.sha, "CI_COMMIT_REF_NAME=main", "CI_COMMIT_REF_SLUG=main"}
	if j.environment != "" {
		predefined = append(predefined, "CI_ENVIRONMENT_NAME="+j.environment, "CI_ENVIRONMENT_ACTION="+j.action)
	}
	predefined = append(predefined, "CI_PROJECT_ID=7", "CI_PROJECT_PATH=group/shop")
	var variables []object
	for _, entry := range append(predefined, j.variables...) {
		key, value, _ := strings.Cut(entry, "=")
		name, file := strings.CutPrefix(key, "file:")
		variables = append(variables, object{"key": name, "value": value, "public": true, "file": file})
	}
	steps := []object{{"name": "script", "script": j.script, "timeout": 600, "when": "on_success"}}
	if j.afterScript != nil {
		steps = append(steps, object{"name": "after_script", "script": j.afterScript, "timeout": 600, "when": "always", "allow_failure": true})
	}
	var dependencies []object
	if j.needs != nil {
		dependencies = append(dependencies, object{
			"id": j.needs.id, "name": "before", "token": j.needs.token(), "artifacts_file": object{"filename": "artifacts.zip", "size": len(j.needs.artifacts["archive"])},
		})
	}
	return object{
		"id": j.id, "token": j.token(), "allow_git_fetch": true,
		"job_info": object{"name": "job", "stage": "test", "project_id": 7, "project_name": "shop", "project_full_path": "group/shop"},
		"git_info": object{
			"repo_url": strings.Replace(j.url(), "//", "//gitlab-ci-token:"+j.token()+"@", 1) + "/group/shop.git",
			"ref":      "main", "ref_type": "branch", "sha": j.sha, "before_sha": strings.Repeat("0", 40), "depth": 20,
			"refspecs": []string{"+refs/heads/main:refs/remotes/origin/main"},
		},
		"runner_info": object{"timeout": 600}, "variables": variables, "steps": steps, "image": object{"name": j.image}, "services": j.services,
		"cache": j.cache, "artifacts": j.jobSpec.artifacts, "dependencies": dependencies,
		"features": object{"trace_sections": true, "failure_reasons": []string{"unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout"}},
	}
}
