// Command bench measures the compiled program on a review host of its own,
// prints a table and writes build/bench.json. Figures are medians of one run;
// machines differ, so compare figures of one run only.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/runner"
)

// figure is one line of the table. It holds if Value is at most Goal.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  float64 `json:"goal"`
	Holds bool    `json:"holds"`
}

// bench is a host to measure on.
type bench struct {
	host    *hosttest.Host
	program string
	project string // a git checkout
	err     error  // the first one
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	host, err := hosttest.Up()
	if err != nil {
		return err
	}
	defer func() { _ = host.Down() }()
	b := &bench{host: host, program: filepath.Join(hosttest.Root(), "build", "review-executor"), project: filepath.Join(host.Dir, "project")}
	b.makeProject()

	figures := []figure{
		{Name: "driver.config_ms", Value: b.median(20, b.config), Unit: "ms", Goal: 15},
		{Name: "driver.empty_job_s", Value: b.median(5, b.emptyJob) / 1000, Unit: "s", Goal: 1},
	}
	b.record(1000)
	figures = append(figures,
		figure{Name: "lifecycle.list_1000_ms", Value: b.median(5, b.command("list")), Unit: "ms", Goal: 200},
		figure{Name: "front.reload_1000_ms", Value: b.median(1, b.command("front")), Unit: "ms", Goal: 2000},
	)
	if b.err != nil {
		return b.err
	}
	for i := range figures {
		figures[i].Holds = figures[i].Value <= figures[i].Goal
	}
	return report(figures)
}

// median runs f n times and returns the median time in milliseconds.
func (b *bench) median(n int, f func() error) float64 {
	var times []float64
	for range n {
		start := time.Now()
		if err := f(); err != nil && b.err == nil {
			b.err = err
		}
		times = append(times, float64(time.Since(start).Microseconds())/1000)
	}
	slices.Sort(times)
	return times[n/2]
}

// config is the stage alone, with the job response that the runner would write.
func (b *bench) config() error {
	file := filepath.Join(b.host.Dir, "job-response")
	response := `{"id": 1, "job_info": {"project_id": 1, "project_full_path": "group/shop"}, "git_info": {"ref": "main", "sha": "` + fmt.Sprintf("%040d", 1) + `"}}`
	if err := os.WriteFile(file, []byte(response), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(b.program, "--config", b.host.Config(), "config")
	cmd.Env = append(os.Environ(), "JOB_RESPONSE_FILE="+file)
	return cmd.Run()
}

// emptyJob is a job with "script: [true]" and no environment, through all
// stages, with a checkout.
func (b *bench) emptyJob() error {
	job := runner.Job{Dir: b.project, Script: []string{"true"}}
	return job.Run(context.Background(), []string{b.program, "--config", b.host.Config()}, io.Discard)
}

func (b *bench) command(name string) func() error {
	return func() error { return exec.Command(b.program, "--config", b.host.Config(), name).Run() }
}

func (b *bench) makeProject() {
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main", b.project},
		{"-C", b.project, "-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--allow-empty", "--message", "empty"},
	} {
		if err := exec.Command("git", args...).Run(); err != nil && b.err == nil {
			b.err = err
		}
	}
}

// record writes the records of n apps.
func (b *bench) record(n int) {
	records := review.NewRecords(filepath.Join(b.host.Dir, "state"))
	for i := range n {
		name := fmt.Sprintf("app-%d", i)
		err := records.Save(review.Record{
			App:  review.App{Name: name, Host: name + ".review.localhost", ProjectID: int64(i), Project: "group/shop", Environment: "review/" + name},
			Live: review.Release{ID: "3f2c1a9-1", Ref: name, SHA: fmt.Sprintf("%040d", i), Job: 1, Backend: fmt.Sprintf("127.0.0.1:%d", 10000+i), Deployed: time.Now()},
		})
		if err != nil && b.err == nil {
			b.err = err
		}
	}
}

func report(figures []figure) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tGOAL\tHOLDS")
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%.3g %s\t%.3g %s\t%v\n", f.Name, f.Value, f.Unit, f.Goal, f.Unit, f.Holds)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(hosttest.Root(), "build", "bench.json"), append(data, '\n'), 0o644)
}
