package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
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
