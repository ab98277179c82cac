package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

var stagePattern = regexp.MustCompile(`^[a-z0-9_]+$`)

// Run runs one sub-stage's script: the user's in the job container, the
// runner's own in the helper container. After the user's main script it deploys
// or stops the job's app.
func (e *Executor) Run(ctx context.Context, script, stage string) error {
	if err := e.forgetExitCode(); err != nil {
		return err
	}
	if !stagePattern.MatchString(stage) {
		return fmt.Errorf("stage %s is not one", review.Printable(stage, 80))
	}
	job, err := e.job()
	if err != nil {
		return err
	}
	if e.stops(job) {
		return e.stop(ctx, job, stage)
	}
	if err := e.runScript(ctx, job, script, stage); err != nil {
		return err
	}
	if mainScript(stage) && e.deploys(job) {
		return e.deploy(ctx, job)
	}
	return nil
}

// forgetExitCode removes the file for the script's exit code: the runner does
// not between stages, and would take an old one for this stage's.
func (e *Executor) forgetExitCode() error {
	file := e.Env["BUILD_EXIT_CODE_FILE"]
	if file == "" {
		return nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mainScript tells whether the stage is the job's "script:". It was renamed
// from build_script to step_script and back.
func mainScript(stage string) bool { return stage == "build_script" || stage == "step_script" }

// userStage tells whether the stage runs what the user wrote.
func userStage(stage string) bool {
	return mainScript(stage) || strings.HasPrefix(stage, "step_") || stage == "after_script"
}

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

func (e *Executor) deploy(ctx context.Context, job Job) error {
	settings, unknown, err := e.settings()
	if err != nil {
		return err
	}
	for _, name := range unknown {
		e.log().Line("WARNING: %s means nothing to review-executor; is it misspelt?", name)
	}
	app, err := e.Apps.Deploy(ctx, e.request(job, settings))
	if err != nil {
		return err
	}
	return e.writeReport(ctx, job, app)
}

// settings are the REVIEW_ variables of the job.
func (e *Executor) settings() (settings review.Settings, unknown []string, err error) {
	settings, unknown, err = review.ParseSettings(e.variables())
	if err != nil {
		return settings, nil, &review.Failure{
			Kind:  review.Build,
			What:  "the job's settings cannot be used",
			Cause: err,
			State: "nothing was changed",
			Hint:  `correct them under "variables:" in this job, or in the project's CI/CD settings`,
		}
	}
	return settings, unknown, nil
}

// writeReport leaves review.env in the project's directory, for
// artifacts:reports:dotenv, so that "environment: url: $REVIEW_URL" works.
func (e *Executor) writeReport(ctx context.Context, job Job, app review.App) error {
	report := fmt.Sprintf("REVIEW_URL=%s\nREVIEW_HOST=%s\n", e.Apps.Front.URL(app.Host), app.Host)
	file := path.Join(e.projectDir(job), "review.env")
	if err := e.Engine.WriteFile(ctx, helperName(job.ID), file, []byte(report)); err != nil {
		return &review.Failure{
			What:  "review.env could not be written",
			Cause: err,
			State: fmt.Sprintf("the review app is serving at %s; only GitLab does not know its URL", e.Apps.Front.URL(app.Host)),
		}
	}
	return nil
}

// stop runs in the place of the job's script. There is no container that could
// run that: a stop must not depend on an image or on a branch.
func (e *Executor) stop(ctx context.Context, job Job, stage string) error {
	if !mainScript(stage) {
		return nil
	}
	if trivial := []string{"true", ":", "exit 0"}; slices.ContainsFunc(job.Script, func(line string) bool { return !slices.Contains(trivial, strings.TrimSpace(line)) }) {
		e.log().Line("The script of a job that stops a review app is not run: it needs neither image nor checkout")
	}
	app, err := e.Apps.App(e.request(job, review.Settings{}))
	if err != nil {
		return err
	}
	return e.Apps.Stop(ctx, app, e.log())
}
