package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stageProcess is a stage that was started, the leader of its process group.
type stageProcess struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *output
	done           chan struct{}
}

// output is what a process wrote so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start starts one stage of the driver.
func (j *driverJob) start(args ...string) *stageProcess {
	j.t.Helper()
	s := &stageProcess{j.t, exec.Command(programFor(j.env), append([]string{"--config", j.config}, args...)...), new(output), new(output), make(chan struct{})}
	s.cmd.Dir = j.dir
	s.cmd.Env = append(os.Environ(), j.environ()...)
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	if j.stdout != nil {
		s.cmd.Stdout = j.stdout
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		var exit *exec.ExitError
		if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
			j.t.Error(err)
		}
	}()
	return s
}

// wait waits until the process has ended and nobody has its output open.
func (s *stageProcess) wait() result {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		// Go's runtime writes on SIGABRT where every goroutine is.
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGABRT)
		select {
		case <-s.done:
		case <-time.After(5 * time.Second):
		}
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		s.t.Fatalf("%q does not end\n%s%s", s.cmd.Args, s.stdout, s.stderr)
	}
	return result{s.stdout.String(), s.stderr.String(), s.cmd.ProcessState.ExitCode()}
}

// signal sends a signal to the process group.
func (s *stageProcess) signal(signal syscall.Signal) *stageProcess {
	s.t.Helper()
	if err := syscall.Kill(-s.cmd.Process.Pid, signal); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// saying waits until the process has written the text.
func (s *stageProcess) saying(text string) *stageProcess {
	s.t.Helper()
	eventually(s.t, "it says "+text, func() bool {
		said := strings.Contains(s.stdout.String()+s.stderr.String(), text)
		select {
		case <-s.done:
			if !said {
				s.t.Fatalf("it ended with %d and did not say %q\n%s%s", s.cmd.ProcessState.ExitCode(), text, s.stdout, s.stderr)
			}
		default:
		}
		return said
	})
	return s
}

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
