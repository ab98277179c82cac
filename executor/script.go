package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

func (e *Executor) runScript(ctx context.Context, job Job, script, stage string) error {
	stdin, err := os.Open(script)
	if err != nil {
		return err
	}
	defer stdin.Close()
	in := place{container: helperName(job.ID), user: "0", command: helperShell}
	if userStage(stage) {
		if in, err = e.jobPlace(ctx, job, stage); err != nil {
			return err
		}
	}
	exit, err := e.exec(ctx, in, io.MultiReader(strings.NewReader(in.prologue), stdin))
	if err != nil {
		return fmt.Errorf("stage %s: %w", stage, err)
	}
	if exit == 0 {
		return e.checkEntered(ctx, in)
	}
	if err := e.explainExit(ctx, in, stage); err != nil {
		return err
	}
	if err := e.writeExitCode(exit); err != nil {
		return err
	}
	return &ScriptError{Exit: exit}
}

// place is where a script runs, and how.
type place struct {
	container, user string
	command         []string
	entrypoint      []string
	entered         string // a file that is there once the entrypoint has run the script
	prologue        string // of the script: it makes the file
}

// jobPlace is the job's container, whose scripts run as the image wants it.
func (e *Executor) jobPlace(ctx context.Context, job Job, stage string) (place, error) {
	state, err := e.Engine.State(ctx, jobName(job.ID))
	if err != nil {
		return place{}, err
	}
	var how shell
	if err := json.Unmarshal([]byte(state.Labels[labelShell]), &how); err != nil {
		return place{}, fmt.Errorf("label %s of container %s: %w", labelShell, jobName(job.ID), err)
	}
	in := place{container: jobName(job.ID), user: how.User, entrypoint: how.Entrypoint, command: jobShell(how.Entrypoint)}
	if len(how.Entrypoint) > 0 {
		in.entered = path.Join(BuildsDir, ".entered-"+stage)
		in.prologue = "{ true >" + in.entered + "; } 2>/dev/null\n"
	}
	return in, nil
}

// killTimeout is how long a cancelled script's last output is waited for.
const killTimeout = 5 * time.Second

// exec runs a script. When ctx ends, the script's processes are killed where they
// run: the end of our connection would not end them. The containers stay, because
// the runner goes on with after_script and its own stages.
func (e *Executor) exec(ctx context.Context, in place, stdin io.Reader) (exit int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		exit, err = e.Engine.Exec(context.WithoutCancel(ctx), in.container, in.user, in.command, stdin, e.Stdout, e.Stderr)
	}()
	select {
	case <-done:
		return exit, err
	case <-ctx.Done():
	}
	killing, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	if err := e.Engine.Signal(killing, in.container, killScripts); err != nil {
		e.Operator.WithError(err).Warn("the processes of a cancelled script may run until cleanup")
	}
	select {
	case <-done:
	case <-killing.Done():
	}
	return 0, ctx.Err()
}

// explainExit tells a script that failed from a container that went away under
// it, and from an entrypoint that never ran it.
func (e *Executor) explainExit(ctx context.Context, in place, stage string) error {
	state, err := e.Engine.State(ctx, in.container)
	if err != nil || !state.Running {
		return &review.Failure{
			What:  fmt.Sprintf("the container of stage %s is gone", stage),
			Cause: err,
			Hint:  "not your branch, unless it ran out of memory: the job can be tried again",
		}
	}
	if state.OutOfMemory {
		e.log().Line("WARNING: a process was killed because the job has used up its memory, %s. To raise the limit, ask %s: it is isolation.memory", e.Isolation.Memory, e.Policy.Contact)
	}
	return e.checkEntered(ctx, in)
}

// checkEntered tells whether the image's entrypoint has run the script. The
// script itself says so: an entrypoint such as "sh -c" takes our command for
// another and hands it the script all the same.
func (e *Executor) checkEntered(ctx context.Context, in place) error {
	if len(in.entrypoint) == 0 {
		return nil
	}
	if entered, err := e.Engine.Has(ctx, in.container, in.entered); err != nil || entered {
		return err
	}
	return &review.Failure{
		Kind:  review.Build,
		What:  "the entrypoint of the job's image did not run the script: " + strings.Join(in.entrypoint, " "),
		State: "its output, if any, is above",
		Hint:  "switch it off, as with the docker executor: image: {name: …, entrypoint: [\"\"]}",
	}
}

// ScriptError is a script that ended with a code other than 0. Its own output
// has said why.
type ScriptError struct{ Exit int }

func (s *ScriptError) Error() string { return fmt.Sprintf("the script exited with code %d", s.Exit) }
