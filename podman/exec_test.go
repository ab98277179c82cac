package podman

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// shell starts a container that waits, as a job's does, and removes it after
// the test.
func shell(t testing.TB, p *Podman) (id string) {
	t.Helper()
	labels := map[string]string{review.LabelJob: t.Name()}
	t.Cleanup(func() {
		if err := p.Remove(context.Background(), labels, 0); err != nil {
			t.Error(err)
		}
	})
	id, err := p.Start(context.Background(), review.Container{
		Name:    "test-" + strings.ToLower(t.Name()),
		Image:   hosttest.Busybox,
		Command: []string{"sh", "-c", "cat; sleep 1000"},
		Shell:   true,
		Labels:  labels,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// execScript runs a script in the container, as root.
func execScript(t testing.TB, p *Podman, id, script, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems bytes.Buffer
	code, err := p.Exec(t.Context(), id, "", []string{"sh", "-c", script}, strings.NewReader(stdin), &out, &problems)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), problems.String(), code
}

func TestExec_ExitCodesComeThrough(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	for _, want := range []int{0, 1, 125, 127, 137, 255} {
		if _, _, got := execScript(t, p, id, "exit "+strconv.Itoa(want), ""); got != want {
			t.Errorf("exit %d came through as %d", want, got)
		}
	}
}

func TestExec_StdinEndsForTheCommand(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	for _, stdin := range []string{"", "one line\n", "no newline", strings.Repeat("many lines\n", 10_000)} {
		stdout, _, code := execScript(t, p, id, "cat; echo end", stdin)
		if code != 0 || stdout != stdin+"end\n" {
			t.Errorf("cat of %d bytes ended with %d after %d bytes", len(stdin), code, len(stdout))
		}
	}
}

func TestExec_CommandNeedNotReadItsStdin(t *testing.T) {
	p := connect(t)
	if _, _, code := execScript(t, p, shell(t, p), "exit 3", strings.Repeat("many lines\n", 100_000)); code != 3 {
		t.Errorf("it ended with %d, want 3", code)
	}
}

func TestExec_StdoutAndStderrStayApart(t *testing.T) {
	p := connect(t)
	stdout, stderr, _ := execScript(t, p, shell(t, p), "echo a; echo b >&2; echo c; echo d >&2", "")
	if stdout != "a\nc\n" || stderr != "b\nd\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
}

func TestExec_EveryByteComesThrough(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	for name, input := range map[string]string{
		"binary":         strings.Repeat(string(all), 100),
		"a line of 1 MB": strings.Repeat("x", 1<<20) + "\n",
		"broken UTF-8":   "\xff\xfe\x80 \xc3",
	} {
		stdout, stderr, code := execScript(t, p, id, "tee /dev/stderr", input)
		if code != 0 || stdout != input || stderr != input {
			t.Errorf("%s: code %d, %d bytes on stdout and %d on stderr are not the %d sent", name, code, len(stdout), len(stderr), len(input))
		}
	}
}

// TestExec_OutputIsWholeEveryTime would find output lost when a command ends
// before its streams are read.
func TestExec_OutputIsWholeEveryTime(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	for i := range 20 {
		want := strings.Repeat(strconv.Itoa(i)+"\n", 1000)
		if stdout, _, _ := execScript(t, p, id, "yes "+strconv.Itoa(i)+" | head -n 1000", ""); stdout != want {
			t.Fatalf("run %d: %d bytes of %d", i, len(stdout), len(want))
		}
	}
}

func TestExec_RunsAsTheUser(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	for user, want := range map[string]string{"": "0:0", "1234:56": "1234:56"} {
		var stdout bytes.Buffer
		if _, err := p.Exec(t.Context(), id, user, []string{"sh", "-c", "echo $(id -u):$(id -g)"}, strings.NewReader(""), &stdout, io.Discard); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(stdout.String()); got != want {
			t.Errorf("user %q is %s, want %s", user, got, want)
		}
	}
}

func TestExec_CancelledReturns(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	started := writerFunc(func() { cancel() })
	_, err := p.Exec(ctx, id, "", []string{"sh", "-c", "echo started; sleep 1000"}, strings.NewReader(""), started, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v, want that it was cancelled", err)
	}
	if _, _, code := execScript(t, p, id, "exit 4", ""); code != 4 {
		t.Errorf("the next command ended with %d, want 4", code)
	}
}

type writerFunc func()

func (f writerFunc) Write(b []byte) (int, error) { f(); return len(b), nil }

func TestExec_MissingContainerIsNamed(t *testing.T) {
	p := connect(t)
	_, err := p.Exec(t.Context(), "no-such-container", "", []string{"true"}, strings.NewReader(""), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no-such-container") {
		t.Errorf("it ended with %v, want an error that names the container", err)
	}
}
