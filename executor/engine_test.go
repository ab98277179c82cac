package executor

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"gitlab.com/review-executor/review-executor/review"
)

// fakeEngine is a container engine in memory: an Engine and a review.Containers
// at once, as the real one. It notes what was done to it.
type fakeEngine struct {
	review.Insight // which no job asks

	mu      sync.Mutex
	calls   []string                    // "pull IMAGE", "start NAME IMAGE", "exec CONTAINER USER", …
	running map[string]review.Container // by name
	files   map[string][]byte           // written, by container:file
	stdin   string                      // of the last exec
	command []string                    // of the last exec
	pulls   []review.Pull
	created []review.Container

	// what happens
	exit    int // of every exec
	dies    bool
	broken  map[string]error // by the first word of a call
	written func()           // called within every exec
	images  map[string]review.Image
	deaf    bool // services end before they listen
	entered bool // the entrypoint has run the script
	noQuota bool

	ownNetworks bool

	signalled func() // called within every signal
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{running: map[string]review.Container{}, files: map[string][]byte{}, broken: map[string]error{}, images: map[string]review.Image{}}
}

func (f *fakeEngine) call(verb, format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, verb+" "+fmt.Sprintf(format, args...))
	return f.broken[verb]
}

// did lists the calls of the verbs, sorted: some are made at the same time.
func (f *fakeEngine) did(verbs ...string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for _, call := range f.calls {
		verb, _, _ := strings.Cut(call, " ")
		if slices.Contains(verbs, verb) {
			found = append(found, call)
		}
	}
	slices.Sort(found)
	return found
}

func (f *fakeEngine) Pull(_ context.Context, pull review.Pull, _ io.Writer) (review.Image, error) {
	f.mu.Lock()
	f.pulls = append(f.pulls, pull)
	image := f.images[pull.Image]
	f.mu.Unlock()
	image.ID = pull.Image
	return image, f.call("pull", "%s", pull.Image)
}

func (f *fakeEngine) EnsureNetwork(_ context.Context, name string, _ map[string]string) error {
	return f.call("network", "%s", name)
}

func (f *fakeEngine) OwnNetworks() bool { return f.ownNetworks }

func (f *fakeEngine) CreateVolume(_ context.Context, name string, _ map[string]string, size review.Bytes) (bool, error) {
	if size > 0 && f.noQuota {
		return false, review.ErrNoQuota
	}
	return true, f.call("volume", "%s", name)
}

func (f *fakeEngine) Create(_ context.Context, spec review.Container) (string, error) {
	f.mu.Lock()
	f.created = append(f.created, spec)
	f.mu.Unlock()
	return spec.Name, f.call("create", "%s", spec.Name)
}

func (f *fakeEngine) StartCreated(ctx context.Context, _ string, spec review.Container) error {
	_, err := f.Start(ctx, spec)
	return err
}

func (f *fakeEngine) Signal(_ context.Context, container, signal string) error {
	if f.signalled != nil {
		f.signalled()
	}
	return f.call("signal", "%s %s", container, signal)
}

func (f *fakeEngine) Listens(_ context.Context, container string, _ []uint16) (bool, error) {
	return !f.deaf, f.call("listens", "%s", container)
}

func (f *fakeEngine) Objects(_ context.Context, labels map[string]string) ([]review.Object, error) {
	f.mu.Lock()
	var found []review.Object
	for _, c := range slices.Concat(slices.Collect(maps.Values(f.running)), f.created) {
		if carries(c.Labels, labels) {
			_, running := f.running[c.Name]
			found = append(found, review.Object{Kind: "container", Name: c.Name, Running: running, Labels: c.Labels})
		}
	}
	f.mu.Unlock()
	return found, f.call("objects", "%v", labels)
}

func (f *fakeEngine) Start(_ context.Context, spec review.Container) (string, error) {
	if err := f.call("start", "%s %s", spec.Name, spec.Image); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[spec.Name] = spec
	return spec.Name, nil
}

func (f *fakeEngine) State(_ context.Context, container string) (review.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, running := f.running[container]
	return review.State{Running: running && !f.deaf, Labels: c.Labels, Address: "10.0.0.2", Backend: "127.0.0.1:1"}, nil
}

func (f *fakeEngine) Exec(_ context.Context, container, user string, command []string, stdin io.Reader, _, _ io.Writer) (int, error) {
	script, err := io.ReadAll(stdin)
	if err != nil {
		return 0, err
	}
	f.stdin, f.command = string(script), command
	if f.written != nil {
		f.written()
	}
	if f.dies {
		delete(f.running, container)
	}
	return f.exit, f.call("exec", "%s %q", container, user)
}

func (f *fakeEngine) Has(_ context.Context, _, file string) (bool, error) {
	return path.Base(file) == "Containerfile" || f.entered, nil
}

func (f *fakeEngine) Tar(_ context.Context, container, dir string) (io.ReadCloser, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	const text = "FROM scratch\n"
	if err := w.WriteHeader(&tar.Header{Name: path.Base(dir) + "/Containerfile", Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(text))}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	return io.NopCloser(&archive), f.call("tar", "%s %s", container, dir)
}

func (f *fakeEngine) WriteFile(_ context.Context, container, file string, data []byte) error {
	f.files[container+":"+file] = data
	return f.call("write", "%s %s", container, file)
}

func (f *fakeEngine) Build(_ context.Context, spec review.BuildSpec, _ io.Writer) (string, error) {
	_, err := io.Copy(io.Discard, spec.Context)
	if err != nil {
		return "", err
	}
	return "image", f.call("build", "%s", spec.Tag)
}

func (f *fakeEngine) PruneBuildCache(context.Context, review.Bytes) error { return nil }

func (f *fakeEngine) Triggers(context.Context, string) ([]string, error) { return nil, nil }

func (f *fakeEngine) Image(context.Context, string) (review.Image, error) {
	return review.Image{ID: "image", Ports: []uint16{80}, HealthCheck: true}, nil
}

func (f *fakeEngine) CheckHealth(context.Context, string) (bool, string, error) { return true, "", nil }

func (f *fakeEngine) Logs(context.Context, string, int) ([]string, error) {
	return []string{"last words"}, nil
}

func (f *fakeEngine) Tag(context.Context, string, string) error { return nil }

func (f *fakeEngine) Untag(context.Context, string) error { return nil }

func (f *fakeEngine) Resume(_ context.Context, id string) error { return f.call("resume", "%s", id) }

func (f *fakeEngine) Space(context.Context) (review.Space, error) {
	return review.Space{Disk: -1, Memory: -1}, nil
}

func (f *fakeEngine) Stop(_ context.Context, id string, _ time.Duration) error {
	return f.call("stop", "%s", id)
}

func (f *fakeEngine) Run(context.Context, review.Container, io.Writer) (int, error) {
	return 0, f.call("run", "")
}

// Remove takes away the containers that carry the labels.
func (f *fakeEngine) Remove(_ context.Context, labels map[string]string, _ time.Duration) error {
	var text []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		text = append(text, strings.TrimPrefix(key, "review-executor.")+"="+labels[key])
	}
	f.mu.Lock()
	maps.DeleteFunc(f.running, func(_ string, c review.Container) bool { return carries(c.Labels, labels) })
	f.created = slices.DeleteFunc(f.created, func(c review.Container) bool { return carries(c.Labels, labels) })
	f.mu.Unlock()
	return f.call("remove", "%s", strings.Join(text, " "))
}

func carries(object, labels map[string]string) bool {
	for key, value := range labels {
		if object[key] != value {
			return false
		}
	}
	return true
}

// fakeFront serves what it is told to.
type fakeFront struct{ sites []review.Site }

func (f *fakeFront) Apply(_ context.Context, sites []review.Site, _ []string) (map[string]error, error) {
	f.sites = sites
	return map[string]error{}, nil
}

func (f *fakeFront) Serves(context.Context, review.Site) error { return nil }
func (f *fakeFront) Drain(context.Context, string)             {}
func (f *fakeFront) URL(host string) string                    { return "https://" + host }
func (f *fakeFront) Warnings(string) []string                  { return nil }

// stages is an executor of one job on fakes.
type stages struct {
	*Executor
	t              *testing.T
	engine         *fakeEngine
	front          *fakeFront
	stdout, stderr *bytes.Buffer
	operator       *logrus.Logger
	journal        *test.Hook
	exitCodeFile   string
}

// newStages gives the stages of testResponse's job, with the changes.
func newStages(t *testing.T, changes object) stages {
	t.Helper()
	s := stages{
		t: t, engine: newFakeEngine(), front: &fakeFront{}, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{},
		exitCodeFile: path.Join(t.TempDir(), "exit-code"),
	}
	s.operator, s.journal = test.NewNullLogger()
	s.Executor = &Executor{
		Engine: s.engine,
		Apps: &review.Lifecycle{
			Records:    review.NewRecords(t.TempDir()),
			Containers: s.engine,
			Front:      s.front,
			Domain:     "review.example.org",
			Limits:     review.LimitDefaults(),
		},
		Jobs:     Jobs{Image: "localhost/default", HelperImage: "localhost/helper:{arch}-v{version}", PullPolicy: []string{review.PullAlways}},
		Policy:   PolicyDefaults(),
		HostEnv:  func(string) (map[string]string, error) { return map[string]string{"FROM_THE_HOST": "yes"}, nil },
		Hostname: func(string) review.Hostname { return "{environment}.{domain}" },
		Env: map[string]string{
			"JOB_RESPONSE_FILE":            writeFile(t, testResponse(t, changes)),
			"BUILD_EXIT_CODE_FILE":         s.exitCodeFile,
			"CUSTOM_ENV_CI_RUNNER_VERSION": "18.1.0",
			"CUSTOM_ENV_CI_PROJECT_DIR":    "/builds/group/shop",
		},
		Stdout:   s.stdout,
		Stderr:   s.stderr,
		Operator: s.operator,
	}
	return s
}

// prepared has its containers.
func (s stages) prepared() stages {
	s.t.Helper()
	if err := s.Prepare(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// run runs a stage with a script that says its name.
func (s stages) run(stage string) error {
	s.t.Helper()
	return s.Run(context.Background(), writeFile(s.t, []byte("echo "+stage)), stage)
}

// isBuildFailure asserts that err is the job's fault and says all of want.
func isBuildFailure(t *testing.T, err error, want ...string) {
	t.Helper()
	var f *review.Failure
	if !errors.As(err, &f) || f.Kind != review.Build {
		t.Fatalf("%v is no build failure", err)
	}
	for _, text := range want {
		if !strings.Contains(f.Text(), text) {
			t.Errorf("it does not say %q:\n%s", text, f.Text())
		}
	}
}
