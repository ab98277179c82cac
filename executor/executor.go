// Package executor is a custom executor for gitlab-runner: config, prepare,
// run and cleanup. It runs a job in two containers that share one volume, and
// deploys the job's review app when the script has succeeded.
//
// Facts about the protocol are from gitlab-runner's executors/custom and
// https://docs.gitlab.com/runner/executors/custom/.
//
// Start reading at Executor.Run.
package executor

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

// Engine is the container engine as jobs need it.
type Engine interface {
	// Pull makes sure that the image is in the local store, and describes it.
	Pull(ctx context.Context, pull review.Pull, log io.Writer) (review.Image, error)
	// EnsureNetwork makes a network with name resolution, apart from all others, unless it is there.
	EnsureNetwork(ctx context.Context, name string, labels map[string]string) error
	// OwnNetworks tells whether a container without a network is in one of its own, and reaches no other.
	OwnNetworks() bool
	// CreateVolume makes a volume of at most size (0: no limit) unless it is there, and tells whether it has.
	CreateVolume(ctx context.Context, name string, labels map[string]string, size review.Bytes) (made bool, err error)
	// Create makes a container that does not run yet, and StartCreated starts it.
	Create(ctx context.Context, spec review.Container) (id string, err error)
	StartCreated(ctx context.Context, id string, spec review.Container) error
	// Start creates and starts a container and returns its ID.
	Start(ctx context.Context, spec review.Container) (id string, err error)
	// State tells how a container does, by name or ID.
	State(ctx context.Context, container string) (review.State, error)
	// Signal sends a signal to the first process of a container.
	Signal(ctx context.Context, container, signal string) error
	// Listens tells whether a process in the container listens on one of the TCP ports.
	Listens(ctx context.Context, container string, ports []uint16) (bool, error)
	// Logs returns the last lines that the container wrote, oldest first.
	Logs(ctx context.Context, container string, lines int) ([]string, error)
	// Objects returns the containers, networks, volumes and images that carry all of the labels.
	Objects(ctx context.Context, labels map[string]string) ([]review.Object, error)
	// Exec runs a command in a container and returns its exit code; user "" is the container's.
	Exec(ctx context.Context, container, user string, command []string, stdin io.Reader, stdout, stderr io.Writer) (exit int, err error)
	// Has tells whether the container has a file of that name.
	Has(ctx context.Context, container, file string) (bool, error)
	// Tar streams a directory of the container.
	Tar(ctx context.Context, container, dir string) (io.ReadCloser, error)
	// WriteFile writes a file of the container.
	WriteFile(ctx context.Context, container, file string, data []byte) error
}

// Executor runs the stages of one job.
type Executor struct {
	Engine Engine
	Apps   *review.Lifecycle
	Jobs   Jobs
	Policy Policy
	// Members tells who may do what in a project. nil: GitLab cannot be asked.
	Members Members
	// Isolation of the job's containers.
	Isolation review.Isolation
	// Hostname returns the pattern of a project's host names.
	Hostname func(project string) review.Hostname
	// HostEnv returns what the administrator puts into the environment of a project's apps.
	HostEnv func(project string) (map[string]string, error)
	// Env is the stage's environment, by name.
	Env map[string]string
	// Stdout and Stderr are the job log.
	Stdout, Stderr io.Writer
	// Operator reads what concerns the host and not the job.
	Operator logrus.FieldLogger

	read *Job // the job response, once it was read
}

// BuildsDir is where both containers have the job's volume.
const BuildsDir = "/builds"

// jobEnv names the job in the stages after config, should the job response be
// gone by then.
const jobEnv = "REVIEW_EXECUTOR_JOB"

// Environ turns os.Environ's form into a map; the last of a name wins.
func Environ(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		env[key] = value
	}
	return env
}

// variables returns the job's CI variables as the runner expanded them.
// Anybody who writes the job can set them.
func (e *Executor) variables() map[string]string {
	vars := map[string]string{}
	for key, value := range e.Env {
		if name, found := strings.CutPrefix(key, "CUSTOM_ENV_"); found {
			vars[name] = value
		}
	}
	return vars
}

// job reads the job response.
func (e *Executor) job() (Job, error) {
	if e.read != nil {
		return *e.read, nil
	}
	job, err := ReadJob(e.Env["JOB_RESPONSE_FILE"])
	if err == nil {
		e.read = &job
	}
	return job, err
}

func (e *Executor) log() *review.Log { return review.NewLog(e.Stdout) }

// request asks for the job's review app.
func (e *Executor) request(job Job, settings review.Settings) review.Request {
	return review.Request{
		ProjectID:    job.ProjectID,
		Project:      job.Project,
		Environment:  job.Environment.Name,
		Hostname:     e.Hostname(job.Project),
		Ref:          job.Ref,
		Branch:       job.Branch,
		MergeRequest: job.MergeRequest,
		Requested:    job.Requested,
		JobURL:       job.URL,
		User:         job.Login,
		Began:        e.began(),
		SHA:          job.SHA,
		Pipeline:     job.Pipeline,
		Job:          job.ID,
		Settings:     settings,
		Checkout:     checkout{e.Engine, helperName(job.ID), e.projectDir(job)},
		Pull:         e.pullFor(job),
		Log:          e.log(),
	}
}

// began is when the runner wrote the job response, which it does when the job
// begins; zero: not known.
func (e *Executor) began() time.Time {
	info, err := os.Stat(e.Env["JOB_RESPONSE_FILE"])
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// projectDir is where the runner checks the project out. The variable can be
// overridden, but it is only ever looked up inside the job's own containers.
func (e *Executor) projectDir(job Job) string {
	dir := e.Env["CUSTOM_ENV_CI_PROJECT_DIR"]
	if dir == path.Clean(dir) && strings.HasPrefix(dir, BuildsDir+"/") {
		return dir
	}
	return path.Join(BuildsDir, job.Project)
}

// checkout is the project's directory in the job's volume, seen through the
// helper container.
type checkout struct {
	engine    Engine
	container string
	dir       string
}

func (c checkout) Has(ctx context.Context, file string) (bool, error) {
	return c.engine.Has(ctx, c.container, path.Join(c.dir, file))
}

// Read takes the file out of the archive that the engine makes of it, so it opens
// nothing by name on the host.
func (c checkout) Read(ctx context.Context, file string, limit int64) ([]byte, error) {
	archive, err := c.Tar(ctx, file)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	entry := tar.NewReader(archive)
	h, err := entry.Next()
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Size > limit {
		return nil, &review.Failure{
			Kind: review.Build,
			What: fmt.Sprintf("%s cannot be read: it is no plain file of at most %s", review.Printable(file, 200), review.Bytes(limit)),
			Hint: "make it one",
		}
	}
	return io.ReadAll(entry)
}

func (c checkout) Tar(ctx context.Context, dir string) (io.ReadCloser, error) {
	return c.engine.Tar(ctx, c.container, path.Join(c.dir, dir))
}

// writeExitCode passes the script's own exit code on, which is what
// allow_failure:exit_codes looks at. Runners before 17.9 have no such file.
func (e *Executor) writeExitCode(code int) error {
	file := e.Env["BUILD_EXIT_CODE_FILE"]
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(strconv.Itoa(code)+"\n"), 0o600)
}
