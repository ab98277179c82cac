package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

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

func (e *Executor) deploy(ctx context.Context, job Job) error {
	settings, unknown, err := e.settings()
	if err != nil {
		return err
	}
	for _, name := range unknown {
		e.log().Line("WARNING: %s means nothing to review-executor; is it misspelt?", name)
	}
	req := e.request(job, settings)
	req.Prepared = e.companioned(job)
	if req.HostEnv, err = e.HostEnv(job.Project); err != nil {
		return err
	}
	app, err := e.Apps.Deploy(ctx, req)
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
	return e.Apps.Stop(ctx, app, review.ByJob, e.log())
}
