// Command bench measures the compiled program on a review host of its own,
// prints a table and writes build/bench.json. Figures are medians of one run;
// machines differ, so compare figures of one run only.
package main

import (
	"context"
	"encoding/json"
	"errors"
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
	if len(os.Args) > 3 && os.Args[1] == "stage" {
		os.Exit(runStage(os.Args[2], os.Args[3:]))
	}
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

	figures := b.driver()
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

// driver measures jobs. The empty job and its floor take turns, so that what
// else the machine does meets both.
func (b *bench) driver() []figure {
	config := b.median(20, b.config)
	b.median(1, b.emptyJob) // the first warms the caches
	var empty, floor []float64
	for range 9 {
		empty = append(empty, b.median(1, b.emptyJob))
		floor = append(floor, b.median(1, b.podmanFloor))
	}
	slices.Sort(empty)
	slices.Sort(floor)
	own := b.ownWork(5)
	// A log of 100 MB, and a build context of 200.
	large := b.spent("seq 15000000", "head -c 200M /dev/urandom >large", `printf 'FROM `+hosttest.Busybox+`\nCOPY large /\nEXPOSE 80\nCMD httpd -f' >Containerfile`)
	return []figure{
		{Name: "driver.config_ms", Value: config, Unit: "ms", Goal: 15},
		{Name: "driver.stage_own_ms", Value: slices.Max(own), Unit: "ms", Goal: 20},
		{Name: "driver.empty_job_s", Value: empty[len(empty)/2] / 1000, Unit: "s", Goal: 0.985}, // half of the docker executor's
		{Name: "driver.podman_floor_s", Value: floor[len(floor)/2] / 1000, Unit: "s", Goal: empty[len(empty)/2] / 1000},
		{Name: "driver.peak_mb", Value: most(large, func(s spent) float64 { return s.PeakMB }), Unit: "MB", Goal: 40},
	}
}

// spent runs a job with the script and returns what each of its stages has
// spent. With a Containerfile, it deploys and is stopped again.
func (b *bench) spent(script ...string) []spent {
	file := filepath.Join(b.host.Dir, "spent")
	_ = os.Remove(file)
	self, err := os.Executable()
	if err != nil {
		b.err = err
		return nil
	}
	executor := []string{self, "stage", file, b.program, "--config", b.host.Config()}
	job := runner.Job{Dir: b.project, Script: script}
	if len(script) > 1 {
		job.Environment = "review/bench"
		job.Variables = map[string]string{"REVIEW_HEALTH_PATH": "/bin/busybox"}
	}
	if err = job.Run(context.Background(), executor, io.Discard); err == nil && job.Environment != "" {
		err = exec.Command(b.program, "--config", b.host.Config(), "stop", "bench").Run()
	}
	all, readErr := readSpent(file)
	if err := errors.Join(err, readErr); err != nil && b.err == nil {
		b.err = err
	}
	return all
}

// ownWork is the median time, over n empty jobs, of each of its stages.
func (b *bench) ownWork(n int) []float64 {
	var stages [][]float64
	for range n {
		for i, stage := range b.spent("true") {
			if i == len(stages) {
				stages = append(stages, nil)
			}
			stages[i] = append(stages[i], stage.OwnMS)
		}
	}
	medians := []float64{0}
	for _, times := range stages {
		slices.Sort(times)
		medians = append(medians, times[len(times)/2])
	}
	return medians
}

// most is the largest of a figure among stages.
func most(stages []spent, figure func(spent) float64) float64 {
	largest := 0.0
	for _, stage := range stages {
		largest = max(largest, figure(stage))
	}
	return largest
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
