package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gitlab.com/review-executor/review-executor/runner"
)

// spent is what the process of one stage has taken.
type spent struct {
	OwnMS  float64 // processor time, so without the time that Podman takes
	PeakMB float64
}

// runStage runs a command as the bench's stand-in between it and a stage, and
// adds to file what the command has spent. It returns the command's exit code.
func runStage(file string, command []string) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 2
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage) // it is one on Linux
	own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	line, err := json.Marshal(spent{OwnMS: float64(own) / float64(time.Millisecond), PeakMB: float64(usage.Maxrss) / 1024})
	if err != nil {
		return 2
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 2
	}
	defer out.Close()
	if _, err := out.Write(append(line, '\n')); err != nil {
		return 2
	}
	return cmd.ProcessState.ExitCode()
}

// readSpent reads what runStage has written.
func readSpent(file string) ([]spent, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var all []spent
	for decoder := json.NewDecoder(in); decoder.More(); {
		var one spent
		if err := decoder.Decode(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// spent runs a job with the script and returns what each of its stages has
// spent. With a Containerfile, it deploys and is stopped again.
func (b *bench) spent(script ...string) []spent {
	file := filepath.Join(b.host.Dir, "spent")
	_ = os.Remove(file)
	self, err := os.Executable()
	if b.failed(err) {
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
	b.failed(errors.Join(err, readErr))
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
		medians = append(medians, median(times))
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
