package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"syscall"
	"time"
)

// Exit codes that a stage is asked for, as gitlab-runner sets them.
const (
	buildFailure  = 1
	systemFailure = 2

	prepareTries = 3
	killAfter    = 30 * time.Second // from SIGTERM to SIGKILL
)

// workspace is the private directory of one job, which the runner calls
// custom-executorNNN.
type workspace struct {
	dir, responseFile, exitCodeFile string
}

// call is one job on its way through the stages of an executor.
type call struct {
	played
	workspace
	executor   []string // command before the stage's name
	log        io.Writer
	jobEnv     map[string]string
	projectDir string
}

// Run plays the job with the executor, a command to which the stage is
// appended, and writes the job log to log. A job that fails is a *Failed; any
// other error is about the checkout or this machine.
func (j Job) Run(ctx context.Context, executor []string, log io.Writer) error {
	c := &call{executor: executor}
	output := newMarkerFilter(log)
	defer output.Close()
	c.log = output

	sha, err := j.resolve(ctx)
	if err != nil {
		return err
	}
	if changes, err := git(ctx, j.Dir, "status", "--porcelain"); err == nil && changes != "" && j.Action != "stop" {
		fmt.Fprintln(c.log, "WARNING: the checkout has changes that are not committed; they are not deployed")
	}
	c.played = newPlayed(j, sha)
	dir, err := os.MkdirTemp("", "custom-executor")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c.workspace = workspace{dir, filepath.Join(dir, "job-response"), filepath.Join(dir, "exit-code")}
	response, err := c.response()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.responseFile, response, 0o600); err != nil {
		return err
	}
	return c.stages(ctx)
}

// stages calls the executor as executors/custom of gitlab-runner does.
func (c *call) stages(ctx context.Context) error {
	if err := c.config(ctx); err != nil {
		return err
	}
	defer c.cleanup(ctx)
	if err := c.prepare(ctx); err != nil {
		return err
	}
	err := c.run(ctx, "prepare_script", "get_sources", "build_script")
	// The runner's own stages after the script run whatever became of it.
	return errors.Join(err, c.run(context.WithoutCancel(ctx), "cleanup_file_variables"))
}

func (c *call) run(ctx context.Context, stages ...string) error {
	for _, stage := range stages {
		script, err := c.script(ctx, stage)
		if err != nil {
			return err
		}
		if err := c.stage(ctx, c.log, "run", script, stage); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) config(ctx context.Context) error {
	var answer bytes.Buffer
	if err := c.stage(ctx, &answer, "config"); err != nil {
		return err
	}
	var config struct {
		BuildsDir string            `json:"builds_dir"`
		JobEnv    map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal(answer.Bytes(), &config); err != nil {
		return fmt.Errorf("the config stage answered something else than JSON: %w", err)
	}
	c.jobEnv = config.JobEnv
	c.projectDir = path.Join(config.BuildsDir, c.project)
	return nil
}

func (c *call) prepare(ctx context.Context) error {
	for try := 1; ; try++ {
		err := c.stage(ctx, c.log, "prepare")
		var failed *Failed
		if err == nil || !errors.As(err, &failed) || failed.Exit == buildFailure || try == prepareTries || ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(c.log, "WARNING: Preparation failed, trying again")
		c.cleanup(ctx)
	}
}

// cleanup's output goes to the runner's own log, not to the job's: here it is
// shown only when it fails.
func (c *call) cleanup(ctx context.Context) {
	var output bytes.Buffer
	whole := *c
	whole.log = &output
	if err := whole.stage(context.WithoutCancel(ctx), &output, "cleanup"); err != nil {
		fmt.Fprintf(c.log, "WARNING: cleanup: %v\n%s", err, output.Bytes())
	}
}

// stage runs one stage as a process group of its own. When ctx ends the group
// gets SIGTERM, and SIGKILL if it does not leave.
func (c *call) stage(ctx context.Context, stdout io.Writer, args ...string) error {
	argv := append(append([]string{}, c.executor...), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = c.environ(c.workspace, c.jobEnv, c.projectDir)
	cmd.Dir = c.dir
	cmd.Stdout = stdout
	cmd.Stderr = c.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &Failed{Stage: args[len(args)-1], Exit: exit.ExitCode()}
	}
	return err
}
