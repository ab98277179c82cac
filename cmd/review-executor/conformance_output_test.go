package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestConformance_OutputPassesUnchanged(t *testing.T) {
	j := newDriverJob(t).prepared()
	var script, want strings.Builder
	script.WriteString("printf '")
	for i := range 256 {
		fmt.Fprintf(&script, `\%03o`, i)
		want.WriteByte(byte(i))
	}
	script.WriteString("'; seq 100000; printf 'no end of line'; printf 'apart\\r\\n' >&2")
	for i := range 100000 {
		want.WriteString(strconv.Itoa(i+1) + "\n")
	}
	want.WriteString("no end of line")
	for _, stage := range []string{"build_script", "get_sources"} {
		got := j.run(stage, script.String()).succeeded(t)
		if got.stdout != want.String() || got.stderr != "apart\r\n" {
			t.Errorf("%s: stdout has %d bytes and begins %.300q, want %d; stderr is %.300q", stage, len(got.stdout), got.stdout, want.Len(), got.stderr)
		}
	}
}

func TestConformance_LineOfAnyLengthPasses(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, length := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 5 << 20} {
		got := j.run("build_script", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo; echo behind", length)).succeeded(t)
		if want := strings.Repeat("x", length) + "\nbehind\n"; got.stdout != want {
			t.Errorf("a line of %d bytes: got %d bytes", length, len(got.stdout))
		}
	}
}

func TestConformance_OutputIsTheScriptsAlone(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, stage := range []string{"prepare_script", "build_script", "after_script", "cleanup_file_variables"} {
		if got := j.run(stage, "true").succeeded(t); got.stdout+got.stderr != "" {
			t.Errorf("%s: stdout %q, stderr %q", stage, got.stdout, got.stderr)
		}
	}
}

func TestConformance_OutputOfAFailedScriptIsWhole(t *testing.T) {
	j := newDriverJob(t).prepared()
	for range 5 {
		got := j.run("build_script", "seq 20000; echo last words >&2; exit 9").exited(t, buildFailure)
		if strings.Count(got.stdout, "\n") != 20000 || got.stderr != "last words\n" {
			t.Errorf("%d lines, stderr %q", strings.Count(got.stdout, "\n"), got.stderr)
		}
	}
}

// TestConformance_LongLogTakesNoMemory looks at the peak that the kernel has
// noted. Rusage would tell the test's own: Go forks as vfork does, and Linux
// keeps the peak of the address space that exec leaves.
func TestConformance_LongLogTakesNoMemory(t *testing.T) {
	const length = 100 << 20
	j := newDriverJob(t).prepared()
	var counted atomic.Int64
	j.stdout = writerFunc(func(b []byte) { counted.Add(int64(len(b))) })
	running := j.startRun("build_script", fmt.Sprintf("yes 'a line of a long log' | head -c %d; echo end >&2; sleep 1000", length)).saying("end")
	eventually(t, "all of the log has come", func() bool { return counted.Load() == length })
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", running.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	running.signal(syscall.SIGTERM).wait()
	peak := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if kib, err := strconv.Atoi(string(peak[1])); err != nil || kib > 40<<10 {
		t.Errorf("it took %d KiB", kib)
	} else {
		t.Logf("it took %d KiB", kib)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}
