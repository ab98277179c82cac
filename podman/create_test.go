package podman

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// run starts a container whose shell waits, and removes it when the test ends.
func run(t *testing.T, p *Podman, spec review.Container) string {
	t.Helper()
	spec.Image, spec.Shell, spec.Command = hosttest.Busybox, true, []string{"sh"}
	spec.Labels = map[string]string{review.LabelJob: t.Name()}
	id, err := p.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.removeContainer(context.Background(), id, 0); err != nil {
			t.Error(err)
		}
	})
	return id
}

// sh runs a script in a container and returns what it wrote.
func sh(t *testing.T, p *Podman, id, script string) string {
	t.Helper()
	var out strings.Builder
	if _, err := p.Exec(t.Context(), id, "", []string{"sh", "-c", script}, strings.NewReader(""), &out, &out); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func TestStart_IsolatesAsAsked(t *testing.T) {
	p := connect(t)
	isolation := review.IsolationDefaults()
	isolation.Memory, isolation.CPUs, isolation.PIDs = 64<<20, 0.5, 50
	first := run(t, p, review.Container{Name: "test-isolated", Isolation: isolation})
	same := run(t, p, review.Container{Name: "test-same", Isolation: isolation, SameIDs: first})
	plain := run(t, p, review.Container{Name: "test-plain"})

	ids := sh(t, p, first, "cat /proc/self/uid_map")
	if fields := strings.Fields(ids); len(fields) != 3 || fields[1] == "0" || fields[2] != "65536" {
		t.Errorf("the container's IDs are %q", ids)
	}
	if got := sh(t, p, same, "cat /proc/self/uid_map"); got != ids {
		t.Errorf("the same IDs are %q, not %q", got, ids)
	}
	if got := sh(t, p, plain, "cat /proc/self/uid_map"); got == ids {
		t.Errorf("IDs of its own are Podman's: %q", got)
	}
	want := map[string]string{"CapEff": "00000000000004fb", "NoNewPrivs": "1"}
	got := map[string]string{}
	for _, line := range strings.Split(sh(t, p, first, "cat /proc/self/status"), "\n") {
		if key, value, _ := strings.Cut(line, ":"); want[key] != "" {
			got[key] = strings.TrimSpace(value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStart_LimitsHold(t *testing.T) {
	isolation := review.Isolation{Memory: 64 << 20, CPUs: 0.5, PIDs: 50}
	if missing := Unenforced(isolation); len(missing) > 0 {
		t.Skipf("cgroups of this user have no %v", missing)
	}
	p := connect(t)
	id := run(t, p, review.Container{Name: "test-limits", Isolation: isolation})
	for file, want := range map[string][]string{"pids.max": {"50"}, "cpu.max": {"50000 100000"}, "memory.max": {"67108864"}} {
		old := map[string]string{"pids.max": "pids/pids.max", "cpu.max": "cpu/cpu.cfs_quota_us", "memory.max": "memory/memory.limit_in_bytes"}[file]
		got := sh(t, p, id, "cat /sys/fs/cgroup/"+file+" 2>/dev/null || cat /sys/fs/cgroup/"+old)
		if got != want[0] && got != strings.Fields(want[0])[0] {
			t.Errorf("%s is %q", file, got)
		}
	}
	if state, err := p.State(t.Context(), id); err != nil || state.OutOfMemory {
		t.Errorf("%+v (%v)", state, err)
	}
	sh(t, p, id, "head -c 200m /dev/zero | tail | wc -c")
	if state, err := p.State(t.Context(), id); err != nil || !state.OutOfMemory || !state.Running {
		t.Errorf("%+v (%v)", state, err)
	}
	if got := sh(t, p, id, "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done"); !strings.Contains(got, "fork") {
		t.Errorf("100 processes: %q", got)
	}
}

func TestUnenforced_NamesWhatTheCgroupsCannotDo(t *testing.T) {
	if got := Unenforced(review.Isolation{}); got != nil {
		t.Errorf("no limits: %v", got)
	}
	if os.Getuid() == 0 {
		if got := Unenforced(review.IsolationDefaults()); got != nil {
			t.Errorf("root: %v", got)
		}
	}
}

// serve starts a container that serves, and returns it with its address.
func serve(t *testing.T, p *Podman, name, network string) (id, address string) {
	t.Helper()
	id = run(t, p, review.Container{Name: name, Network: network, Hostname: name})
	sh(t, p, id, "httpd -p 8080 -h /bin")
	address = sh(t, p, id, "ip -4 -o addr show | grep -v ' lo ' | head -n 1 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'")
	if got := get(t, p, id, address); !strings.Contains(got, "404") {
		t.Fatalf("%s at %s does not even serve itself: %q", name, address, got)
	}
	return id, address
}

// get asks a server from within a container.
func get(t *testing.T, p *Podman, id, address string) string {
	t.Helper()
	return sh(t, p, id, "printf 'GET /none HTTP/1.0\r\n\r\n' | nc -w 2 "+address+" 8080 2>&1")
}

func TestStart_OwnNetworksReachNoOther(t *testing.T) {
	p := connect(t)
	if !p.OwnNetworks() {
		t.Skip("this Podman has none for this user")
	}
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() {
		if err := p.removeNetworks(context.Background(), labels); err != nil {
			t.Error(err)
		}
	})
	if err := p.EnsureNetwork(t.Context(), "test-bridge", labels); err != nil {
		t.Fatal(err)
	}
	_, bridged := serve(t, p, "test-bridged", "test-bridge")
	alone, address := serve(t, p, "test-alone", "")
	other := run(t, p, review.Container{Name: "test-other"})
	if got := get(t, p, alone, bridged); strings.Contains(got, "404") {
		t.Errorf("a container in a bridge answers: %q", got)
	}
	if got := get(t, p, other, address); strings.Contains(got, "404") {
		t.Errorf("a container with a network of its own answers: %q", got)
	}
}

// TestEnsureNetwork_ReachesNoOther needs a netavark that speaks nftables: an
// older one takes away the rule that parts all networks when any of them ends.
func TestEnsureNetwork_ReachesNoOther(t *testing.T) {
	p := connect(t)
	info, err := system.Info(p.call(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if info.Host.NetworkBackendInfo.Version == "" { // before Podman 4.6
		t.Skipf("the netavark of Podman %s does not keep networks apart for long", info.Version.Version)
	}
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() {
		if err := p.removeNetworks(context.Background(), labels); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"test-net-a", "test-net-b"} {
		if err := p.EnsureNetwork(t.Context(), name, labels); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := serve(t, p, "test-a", "test-net-a")
	_, address := serve(t, p, "test-b", "test-net-b")
	if got := get(t, p, a, address); strings.Contains(got, "404") {
		t.Errorf("the other network answers: %q", got)
	}
}

func TestListens_SeesWhatOthersCanReach(t *testing.T) {
	p := connect(t)
	id := run(t, p, review.Container{Name: "test-listens"})
	listens := func() bool {
		t.Helper()
		got, err := p.Listens(t.Context(), id, []uint16{8080, 9090})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	sh(t, p, id, "httpd -p 7070 -h /etc; httpd -p 127.0.0.1:8080 -h /etc")
	if listens() {
		t.Error("another port, and one on loopback, count")
	}
	sh(t, p, id, "httpd -p 9090 -h /etc")
	if !listens() {
		t.Error("the port is not seen")
	}
	if err := p.removeContainer(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Listens(t.Context(), id, []uint16{9090}); err == nil {
		t.Error("a container that is gone was found")
	}
}

func TestCreateVolume_ThatIsThereIsKept(t *testing.T) {
	p := connect(t)
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() { _ = p.removeVolumes(context.Background(), labels) })
	for range 2 {
		if _, err := p.CreateVolume(t.Context(), "test-twice", labels, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestCreateVolume_SaysWhenTheStoreCannotLimitIt(t *testing.T) {
	p := connect(t)
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() { _ = p.removeVolumes(context.Background(), labels) })
	if _, err := p.CreateVolume(t.Context(), "test-quota", labels, 1<<30); err != nil && !strings.Contains(err.Error(), review.ErrNoQuota.Error()) {
		t.Error(err)
	}
}

// TestState_OfAContainerThatEndsJustThen asks while it ends: Podman may fail to
// say how it does.
func TestState_OfAContainerThatEndsJustThen(t *testing.T) {
	p := connect(t)
	spec := review.Container{Name: "test-ending", Image: hosttest.Busybox, Command: []string{"true"}, Labels: map[string]string{review.LabelJob: t.Name()}}
	id, err := p.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.removeContainer(context.Background(), id, 0); err != nil {
			t.Error(err)
		}
	})
	for range 5 {
		if err := p.StartCreated(t.Context(), id, spec); err != nil {
			t.Fatal(err)
		}
		for running := true; running; {
			state, err := p.State(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			running = state.Running
		}
	}
}

// TestStart_ShutdownLeavesTimeToEnd: systemd is told it, where Podman's scopes are systemd's.
func TestStart_ShutdownLeavesTimeToEnd(t *testing.T) {
	id := run(t, connect(t), review.Container{Name: "test-grace", StopGrace: 1500 * time.Millisecond})
	if got := strings.TrimSpace(host.Podman(t, "inspect", "--format", "{{.Config.StopTimeout}}", id)); got != "2" {
		t.Errorf("it has %s seconds to end, want 2", got)
	}
}
