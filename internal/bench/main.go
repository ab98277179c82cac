// Command bench measures the compiled program on a review host of its own,
// prints a table and writes build/bench.json. Figures are medians of one run;
// machines differ, so compare figures of one run only.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// bench is a host to measure on.
type bench struct {
	host    *hosttest.Host
	program string
	project string // a git checkout
	err     error  // the first one
}

// failed notes the first error, after which no figure counts.
func (b *bench) failed(err error) bool {
	if b.err == nil {
		b.err = err
	}
	return err != nil
}

func main() {
	if len(os.Args) > 3 && os.Args[1] == "stage" {
		os.Exit(runStage(os.Args[2], os.Args[3:]))
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// parts are what can be measured alone. The last ones need a whole machine, which they boot.
var parts = []struct {
	name    string
	on      func(func(*bench) []figure) ([]figure, error)
	measure func(*bench) []figure
}{
	{"driver", onHost, (*bench).driver},
	{"deploy", onHost, (*bench).deploy},
	{"apps", onHost, (*bench).appsRatio},
	{"load", onHost, (*bench).load},
	{"byhand", onHost, (*bench).loadByHand},
	{"records", onHost, (*bench).recorded},
	{"front", onHost, (*bench).front},
	{"sync", onHost, (*bench).synced},
	{"webhooks", onHost, (*bench).webhooks},
	{"host", onMachine, (*bench).asleep},
	{"reboot", onMachine, (*bench).rebooted},
}

// run measures everything, or the named parts alone, each on a host of its own.
func run(names []string) error {
	var figures []figure
	for _, part := range parts {
		if len(names) > 0 && !slices.Contains(names, part.name) {
			continue
		}
		measured, err := part.on(part.measure)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		figures = append(figures, measured...)
	}
	return report(figures)
}

// onHost measures on a host of its own.
func onHost(measure func(*bench) []figure) ([]figure, error) {
	b, err := newBench()
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.host.Down() }()
	figures := measure(b)
	return figures, b.err
}

// onMachine measures with the program alone.
func onMachine(measure func(*bench) []figure) ([]figure, error) {
	b := &bench{program: program()}
	figures := measure(b)
	return figures, b.err
}

func program() string { return filepath.Join(hosttest.Root(), "build", "review-executor") }

func newBench() (*bench, error) {
	host, err := hosttest.Up()
	if err != nil {
		return nil, err
	}
	b := &bench{host: host, program: program(), project: filepath.Join(host.Dir, "project")}
	b.makeProject(b.project, nil)
	return b, nil
}

// median runs f n times and returns the median time in milliseconds.
func (b *bench) median(n int, f func() error) float64 {
	var times []float64
	for range n {
		start := time.Now()
		b.failed(f())
		times = append(times, float64(time.Since(start).Microseconds())/1000)
	}
	return median(times)
}

// makeProject makes a git checkout with these files.
func (b *bench) makeProject(dir string, files map[string]string) {
	b.failed(exec.Command("git", "init", "--quiet", "--initial-branch", "main", dir).Run())
	for name, content := range files {
		b.failed(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	b.failed(exec.Command("git", "-C", dir, "add", "--all").Run())
	b.failed(exec.Command("git", "-C", dir, "-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--allow-empty", "--message", "a commit").Run())
}
