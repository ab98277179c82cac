package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOperator_JournalHasAnEntryPerStage gives a stage a journal of its own: in
// a mount namespace where the journal's socket is the test's.
func TestOperator_JournalHasAnEntryPerStage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can put its own socket in the place of the journal's")
	}
	dir := t.TempDir()
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	j := newDriverJob(t)
	j.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=verify"}, j.vars...)

	cmd := exec.Command("unshare", "--mount", "sh", "-c",
		`mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && shift && exec "$@"`, dir, "", program, "--config", host.Config(), "config")
	cmd.Env = append(os.Environ(), j.environ()...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	entry := make([]byte, 64<<10)
	_ = journal.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := journal.Read(entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"MESSAGE=stage config: done\n", "PRIORITY=6\n", "SYSLOG_IDENTIFIER=review-executor\n", fmt.Sprintf("JOB=%d\n", j.id),
		"PROJECT=group/shop\n", "APP=login\n", "STAGE=config\n", "OUTCOME=done\n", "DURATION=",
	} {
		if !strings.Contains(string(entry[:n]), field) {
			t.Errorf("the entry lacks %q:\n%s", field, entry[:n])
		}
	}
}

// TestOperator_JobLogIsQuiet: without a journal, stderr is the job log.
func TestOperator_JobLogIsQuiet(t *testing.T) {
	j := newDriverJob(t)
	for _, args := range [][]string{{"prepare"}, {"cleanup"}} {
		if got := j.stage(args...).succeeded(t); got.stdout+got.stderr != "" {
			t.Errorf("%v says %q", args, got.stdout+got.stderr)
		}
	}
	got := j.stage("--verbose", "prepare").succeeded(t)
	for _, field := range []string{"level=info", fmt.Sprintf("job=%d", j.id), "project=group/shop", "stage=prepare", "outcome=done", "duration="} {
		if !strings.Contains(got.stderr, field) {
			t.Errorf("--verbose does not say %q: %q", field, got.stderr)
		}
	}
	if got.stdout != "" {
		t.Errorf("stdout is %q", got.stdout)
	}
}
