package review

import (
	"context"
	"errors"
	"io"
	"time"
)

// Containers is the container engine as deploying and stopping need it.
// Every method returns when ctx ends, and is safe to call at the same time as
// any other.
type Containers interface {
	Insight
	// Build builds an image from a tar stream and returns its ID. What the
	// build prints goes to log as it comes. A build that fails is a Failure of
	// the kind Build and leaves no image.
	Build(ctx context.Context, spec BuildSpec, log io.Writer) (imageID string, err error)
	// PruneBuildCache removes the oldest images that builds have left for later
	// ones, until those that are left hold no more than budget; 0 is no limit. It
	// removes none that has a name, is a release's, or that another image or a
	// container needs. It may do nothing while anything is being built.
	PruneBuildCache(ctx context.Context, budget Bytes) error
	// Triggers returns the instructions that an image of the local store adds to a
	// build upon it: its ONBUILD.
	Triggers(ctx context.Context, imageID string) ([]string, error)
	// Image describes an image of the local store.
	Image(ctx context.Context, ref string) (Image, error)
	// EnsureNetwork makes the network unless it is there.
	EnsureNetwork(ctx context.Context, name string, labels map[string]string) error
	// CreateVolume makes a volume of at most size (0: no limit) unless it is
	// there, and tells whether it has. The error is ErrNoQuota if the store
	// cannot limit it.
	CreateVolume(ctx context.Context, name string, labels map[string]string, size Bytes) (made bool, err error)
	// Start creates and starts a container and returns its ID. On an error
	// nothing is left of it. A command that the image lacks is a Failure of the
	// kind Build, and a port of the host that is taken is ErrPortTaken.
	Start(ctx context.Context, spec Container) (id string, err error)
	// Resume starts a container again that has ended. A port of the host that is
	// taken by now is ErrPortTaken.
	Resume(ctx context.Context, id string) error
	// Stop ends a container with its stop signal, and by force after the grace. It stays,
	// and is not started again but by Resume. One that has ended, or is not there, is no error.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Run starts a container, passes on what it writes until it ends, and returns
	// its exit code. What has ended stays until it is removed.
	Run(ctx context.Context, spec Container, log io.Writer) (exit int, err error)
	// State tells how the container does; here and below, by its ID or name.
	State(ctx context.Context, id string) (State, error)
	// CheckHealth runs the image's own health check once.
	CheckHealth(ctx context.Context, id string) (healthy bool, output string, err error)
	// Listens tells whether a process in the container listens on one of the TCP ports.
	Listens(ctx context.Context, id string, ports []uint16) (bool, error)
	// Logs returns the last lines that the container wrote, oldest first.
	Logs(ctx context.Context, id string, lines int) ([]string, error)
	// Objects returns what carries all of the labels; of an image, ImageName tells the
	// app and the release, too, and its own labels count only if it was built here. An empty value means not to
	// carry it, and AnyValue to carry any but an empty one.
	Objects(ctx context.Context, labels map[string]string) ([]Object, error)
	// Tag gives an image another name.
	Tag(ctx context.Context, id, name string) error
	// Untag takes a name off an image, which stays as long as it has another.
	Untag(ctx context.Context, name string) error
	// Remove removes the containers, networks, volumes and images that carry
	// all of the labels, as Objects understands them. An image that has other names
	// only loses this one. Running containers get
	// their stop signal and grace to end. What is already gone is not an error.
	Remove(ctx context.Context, labels map[string]string, grace time.Duration) error
}

// Object is something in the container engine.
type Object struct {
	Kind     string // container, image, network, volume, or a supervisor's unit
	Name     string
	Running  bool   // of a container
	Backend  string // where the port of a container is published: 127.0.0.1:34817
	Changing bool   // of a unit: see Supervisor
	Labels   map[string]string
}

// AnyValue stands for any value of a label but an empty one.
const AnyValue = "*"

// ErrPortTaken is what an engine says when a container's HostPort is another's.
var ErrPortTaken = errors.New("the port is in use")

// BuildSpec is an image to build.
type BuildSpec struct {
	Tag           string    // localhost/review/login-form:3f2c1a9-4711
	Context       io.Reader // a tar stream, its root the build context
	Containerfile string    // path in the context
	Heredocs      bool      // it has here-documents: an engine that does not know them must refuse it
	Target        string    // build stage; "": the last
	Args          map[string]string
	Labels        map[string]string
	Isolation     Isolation // of its steps
}

// Image is what a deploy or a job asks of an image.
type Image struct {
	ID          string
	Digest      string   // of its manifest
	Ports       []uint16 // EXPOSE, TCP only, in ascending order
	HealthCheck bool     // the image has a HEALTHCHECK
	User        string   // "": root
	Size        Bytes
	Entrypoint  []string
	Volumes     []string // VOLUME, in order
	Labels      map[string]string
}

// Pull is an image to have in the local store.
type Pull struct {
	Image    string // as its user wrote it
	Policy   string // PullAlways, PullIfNotPresent or PullNever
	Platform string // linux/arm64; "": the host's
	Username string // for the image's registry; "": none
	Password string
}

// Pull policies, with the names that "pull_policy:" has for them.
const (
	PullAlways       = "always"
	PullIfNotPresent = "if-not-present"
	PullNever        = "never"
)

// Container is a container to start, in terms that any engine has.
type Container struct {
	Name       string
	Image      string
	Entrypoint []string // nil: the image's
	Command    []string // nil: the image's
	Shell      bool     // Command replaces the image's entrypoint too, and stdin stays open
	User       string   // "": the image's
	Hostname   string
	Network    string
	Aliases    []string          // names in the network
	Hosts      map[string]string // addresses by name, for what the network's names may not know yet
	Volumes    map[string]string // mount point by volume name; a missing volume is made, unlabelled
	Chown      []string          // volumes whose files are all given to the container's user first
	Env        map[string]string
	Labels     map[string]string
	Port       uint16        // published on 127.0.0.1; 0: none
	HostPort   uint16        // where it is published; 0: on a free port
	Restart    bool          // start again whenever it ends, and after a reboot
	Supervised bool          // what was stopped stays so, after a reboot too: somebody else starts it
	StopGrace  time.Duration // to end after its stop signal, where the host ends it; 0: the engine's
	Isolation  Isolation
	// IDs are the user IDs to have, as State tells them; "": a range of its own.
	IDs string
	// SameIDs is a container whose range of user IDs this one gets, for files
	// that both write; "": a range of its own.
	SameIDs string
}

// ErrNoQuota is what a store says that cannot limit the size of a volume.
var ErrNoQuota = errors.New("the store cannot limit the size of a volume")

// State is how a container does.
type State struct {
	Running bool
	PID     int    // of its first process, as this host counts; 0: none
	Address string // in its network
	Labels  map[string]string
	// OutOfMemory: one of its processes was killed because the container has used up its memory.
	OutOfMemory bool
	Restarts    int // how often it ended and was started again
	ExitCode    int
	Backend     string // where its port is published: 127.0.0.1:34817
	IDs         string // its user IDs, in the engine's own words; never empty
}

// Front is the web server as publishing needs it.
type Front interface {
	// Apply makes the front serve exactly these sites, and the ones named in
	// keep as they are now. refused, never nil without err, holds by site name
	// what the web server said against it; a refused site goes on as it was
	// before, and the others are served. On err nothing was changed.
	Apply(ctx context.Context, sites []Site, keep []string) (refused map[string]error, err error)
	// Serves returns nil once the front answers with the site's release.
	Serves(ctx context.Context, site Site) error
	// Drain returns when the front has no connection to the backend any more, or when ctx ends.
	Drain(ctx context.Context, backend string)
	// URL is where a browser finds the host.
	URL(host string) string
	// Warnings tells what will soon keep visitors from the host though nothing has
	// failed: a certificate that is about to expire, or does not fit.
	Warnings(host string) []string
}
