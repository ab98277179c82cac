package review

import (
	"context"
	"fmt"
	"io"
	"maps"
	"time"
)

// Request asks for one release of one app. Identity (project, environment,
// ref, sha, pipeline, job) must come from a trusted source.
type Request struct {
	ProjectID    int64
	Project      string
	Environment  string
	Hostname     Hostname // the project's pattern
	Ref          string
	SHA          string
	Branch       string    // "": the ref is a tag, or of a fork
	MergeRequest int64     // whose pipeline it is; 0: none's
	Pipeline     int64     // 0: not known
	Requested    time.Time // when the pipeline was created; zero: not known
	Job          int64
	JobURL       string // the job's page in GitLab; "": not known
	User         string // login name of who started the job; "": not known
	// Began is when the job began: a stop since then wins. Zero: just now.
	Began    time.Time
	Settings Settings
	// HostEnv is what the administrator puts into the app's environment.
	HostEnv map[string]string
	// Companions that the app shall have, and their environments by name. Since is
	// not set. Only Prepare looks at them.
	Companions    []Companion
	CompanionEnvs map[string]map[string]string
	// Owner names whom the prepared release lives and dies with.
	Owner string
	// Prepared tells that Prepare was called for this job.
	Prepared bool
	Checkout Checkout
	// Pull gets an image by the name that the job's author wrote, with the job's
	// credentials and by the host's policy.
	Pull func(ctx context.Context, name string, log io.Writer) (Image, error)
	Log  *Log
}

// Checkout is the project's directory as the job's script left it. Paths are
// relative to it.
type Checkout interface {
	// Has tells whether there is a file or a symbolic link of that name.
	Has(ctx context.Context, file string) (bool, error)
	// Read returns the content of a file of at most limit bytes. More is an error.
	Read(ctx context.Context, file string, limit int64) ([]byte, error)
	// Tar streams the directory; its entries are below one top directory.
	Tar(ctx context.Context, dir string) (io.ReadCloser, error)
}

// newRelease is the release that the job asks for, as far as it is known before
// it is built.
func newRelease(req Request) Release {
	s := req.Settings
	return Release{
		ID:             fmt.Sprintf("%s-%d", shortSHA(req.SHA), req.Job),
		Ref:            req.Ref,
		SHA:            req.SHA,
		Job:            req.Job,
		Pipeline:       req.Pipeline,
		Branch:         req.Branch,
		MergeRequest:   req.MergeRequest,
		Requested:      req.Requested,
		JobURL:         req.JobURL,
		User:           req.User,
		Deployed:       time.Now().UTC().Truncate(time.Second),
		Static:         s.Static != "",
		Port:           s.Port,
		Command:        s.Command,
		ReleaseCommand: s.ReleaseCommand,
		Volumes:        s.Volumes,
		HealthPath:     s.HealthPath,
		HealthTimeout:  s.HealthTimeout,
		PublicPaths:    s.PublicPaths,
		Memory:         s.Memory,
		CPUs:           s.CPUs,
		SleepAfter:     s.SleepAfter,
	}
}

// env is what the project and the administrator put into the app's environment;
// the administrator has the last word.
func (r Request) env() map[string]string {
	env := maps.Clone(r.Settings.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, r.HostEnv)
	return env
}
