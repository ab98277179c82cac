package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// faultVariable turns the test's own binary into the program, with a fault: after
// so many steps of a deploy, a stop, a rollback or a sync it runs a command of
// the shell, whose parent it is.
const faultVariable = "REVIEW_TEST_FAULT_AFTER"

// programFor is the compiled program, or with a fault the test's own binary.
func programFor(env []string) string {
	if slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, faultVariable+"=") }) {
		return os.Args[0]
	}
	return program
}

func runWithFault() {
	left, err := strconv.Atoi(os.Getenv(faultVariable))
	if err != nil {
		panic(err)
	}
	afterStep = func() {
		if left--; left == 0 {
			if out, err := exec.Command("/bin/sh", "-c", os.Getenv(faultVariable+"_COMMAND")).CombinedOutput(); err != nil {
				panic(fmt.Sprintf("%v\n%s", err, out))
			}
		}
	}
	main()
	os.Exit(0)
}

// faults are what may happen behind any step. mend is what somebody does about it
// before they run "sync".
type fault struct {
	command string
	mend    func(*faulty)
}

var faults = map[string]fault{
	"process": {"kill -KILL $PPID", func(*faulty) {}},
	"podman":  {"kill -KILL $(cat " + "$HOST/podman.pid) && while test -e /proc/$(cat $HOST/podman.pid)/exe; do sleep 0.02; done", (*faulty).startPodman},
	"disk":    {"dd if=/dev/zero of=$STATE/filler bs=4k 2>/dev/null || true", (*faulty).makeRoom},
}

// faulty is a host on which something happens behind a step.
type faulty struct {
	*testing.T
	fault  fault
	config string
	state  string // directory
	job    *driverJob
	pages  map[string]string // by release
	// database is the image of the app's companion.
	database string
	hit      string // the file that tells that it has happened
}

// TestFault_EveryStepLeavesWhatSyncMakesWhole kills the process behind every step
// of deploy, stop, rollback and sync, and the Podman service, and fills the disk,
// each in a run of its own.
func TestFault_EveryStepLeavesWhatSyncMakesWhole(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for operation, op := range map[string]func(f *faulty, with []string){
				"prepare":  func(f *faulty, with []string) { f.deploy(with, nil) },
				"deploy":   func(f *faulty, with []string) { f.deploy(nil, with) },
				"rollback": func(f *faulty, with []string) { f.program(with, "rollback", "login") },
				"stop":     func(f *faulty, with []string) { f.program(with, "stop", "login") },
				"sync":     func(f *faulty, with []string) { f.lose(); f.program(with, "sync") },
			} {
				t.Run(operation, func(t *testing.T) { newFaulty(t, fault).everyStep(op) })
			}
		})
	}
}

func newFaulty(t *testing.T, fault fault) *faulty {
	f := &faulty{T: t, fault: fault, job: newDriverJob(t), pages: map[string]string{}, state: filepath.Join(host.Dir, "state"), config: host.Config()}
	t.Cleanup(func() { stopApps(t) })
	if strings.Contains(fault.command, "filler") {
		if os.Getuid() != 0 {
			t.Skip("only root can mount a small file system")
		}
		f.state = t.TempDir()
		mount(t, f.state)
		f.config = configWith(t, host.Dir+"/state", f.state)
		t.Cleanup(func() { f.program(nil, "stop", "login") })
	}
	f.hit = filepath.Join(t.TempDir(), "hit")
	f.database = f.job.newImage("FROM " + busybox + "\nSTOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"80\"]\n")
	return f
}

// everyStep goes on until the operation ends before the fault.
func (f *faulty) everyStep(op func(*faulty, []string)) {
	for n := 1; !f.Failed(); n++ {
		for len(f.recorded()) == 0 || f.recorded()[0].Previous == nil {
			f.deploy(nil, nil) // the second is for a rollback
		}
		_ = os.Remove(f.hit)
		op(f, []string{
			faultVariable + "=" + strconv.Itoa(n), faultVariable + "_COMMAND=touch " + f.hit + "; " + f.fault.command,
			"HOST=" + host.Dir, "STATE=" + f.state,
		})
		if _, err := os.Stat(f.hit); err != nil {
			if n == 1 {
				f.Fatal("nothing happened")
			}
			f.Logf("%d steps", n-1)
			return
		}
		f.fault.mend(f)
		if got := f.program(nil, "sync"); got.code != 0 {
			f.Fatalf("after step %d, sync ends with %d\n%s%s", n, got.code, got.stdout, got.stderr)
		}
		f.isWhole(n)
	}
}

// deploy is one job, from prepare to the end of its runner's work on it, with
// something for the environment of its two stages.
func (f *faulty) deploy(prepare, build []string) {
	f.Helper()
	j := f.job.another().deploying()
	text := fmt.Sprintf("page of job %d", j.id)
	f.pages[fmt.Sprintf("3f2c1a9-%d", j.id)] = text
	j.config = f.config
	j.response = object{"services": []object{{"name": f.database, "alias": "db"}}}
	j.vars = append(j.vars, "REVIEW_VOLUMES=/data", "REVIEW_RELEASE_COMMAND=date >/data/released")
	j.env = prepare
	prepared := j.stage("prepare")
	if j.env = nil; prepared.code == 0 {
		j.checkout(page(text)).succeeded(f)
		j.env = build
		if s := j.startRun("build_script", "true").wait(); prepare == nil && build == nil {
			s.succeeded(f)
		}
		j.env = nil
	}
	if err := os.Remove(j.responseFile()); err != nil { // as the runner does when a job is over
		f.Fatal(err)
	}
	if prepare == nil && build == nil {
		prepared.succeeded(f)
		f.program(nil, "prune").succeeded(f)
	}
}

func (f *faulty) program(with []string, args ...string) result {
	f.Helper()
	return runWith(f, with, append([]string{"--config", f.config}, args...)...)
}

// lose takes the containers away, as a wiped store does.
func (f *faulty) lose() {
	f.Helper()
	loseContainers(f)
}

func (f *faulty) startPodman() {
	f.Helper()
	if out, err := exec.Command(filepath.Join("..", "..", "scripts", "host.sh"), "podman", host.Dir).CombinedOutput(); err != nil {
		f.Fatalf("%v\n%s", err, out)
	}
}

func (f *faulty) makeRoom() {
	f.Helper()
	if err := os.Remove(filepath.Join(f.state, "filler")); err != nil {
		f.Fatal(err)
	}
}

// recorded is the app's record, or none.
func (f *faulty) recorded() []review.Record {
	f.Helper()
	text, err := os.ReadFile(filepath.Join(f.state, "apps", "login.json"))
	if os.IsNotExist(err) {
		return nil
	}
	var record review.Record
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		f.Fatal(err)
	}
	return []review.Record{record}
}

// isWhole asserts that the app serves the release of its record or is gone, and
// that what exists is what the record says.
func (f *faulty) isWhole(step int) {
	f.Helper()
	f.program(nil, "prune").succeeded(f)
	want, status, body := []string{}, 404, "login: ended"
	for _, record := range f.recorded() {
		want, status, body = existsOf(record), 200, f.pages[record.Live.ID]+"\n"
	}
	if answer := host.Get(f, "login.review.localhost", "/", true); answer.Status != status || !strings.Contains(answer.Body, body) && !strings.Contains(answer.Body, "No review app") {
		f.Errorf("after step %d it answers %d %q, want %d %q", step, answer.Status, answer.Body, status, body)
	}
	if diff := cmp.Diff(want, whatExists(f)); diff != "" {
		f.Errorf("after step %d (-recorded +there):\n%s", step, diff)
	}
	if left, _ := filepath.Glob(filepath.Join(f.state, "secrets", "login", "*")); len(want) == 0 && len(left) > 0 {
		f.Errorf("after step %d there are %v", step, left)
	}
}

// existsOf is what there must be of a recorded app.
func existsOf(r review.Record) []string {
	all := []string{"container review-app-login-" + r.Live.ID, "network review-app-login", "image localhost/review/login:" + r.Live.ID, "volume of /data"}
	for _, c := range r.Live.Companions {
		all = append(all, "container review-app-login-"+c.Name+"-"+c.Since)
	}
	if r.Previous != nil {
		all = append(all, "image localhost/review/login:"+r.Previous.ID)
	}
	slices.Sort(all)
	return all
}

func whatExists(t testing.TB) []string {
	all := []string{}
	for _, list := range [][]string{
		{"ps", "--filter", "label=review-executor.app", "--format", "container {{.Names}}"},
		{"network", "ls", "--filter", "label=review-executor.app", "--format", "network {{.Name}}"},
		{"images", "--filter", "label=review-executor.app", "--format", "image {{.Repository}}:{{.Tag}}"},
		{"volume", "ls", "--filter", "label=review-executor.app", "--format", "volume of /data"},
	} {
		if out := host.Podman(t, list...); out != "" {
			all = append(all, strings.Split(out, "\n")...)
		}
	}
	slices.Sort(all)
	return all
}
