package executor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"gitlab.com/review-executor/review-executor/review"
)

// owner names what the job lives and dies with: the runner's process and the job
// response, which the runner deletes when the job is over. It tells the next
// job what a killed runner has left. "": not known.
func (e *Executor) owner() string {
	runner, err := runnerProcess()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s:%s", runner, e.Env["JOB_RESPONSE_FILE"])
}

// runnerProcess is the closest ancestor outside this process group: the runner
// starts every stage as a group of its own, wrappers around us included.
func runnerProcess() (string, error) {
	process, err := procfs.Self()
	if err != nil {
		return "", err
	}
	stat, err := process.Stat()
	for group := stat.PGRP; err == nil && stat.PGRP == group && stat.PPID > 0; {
		if process, err = procfs.NewProc(stat.PPID); err == nil {
			stat, err = process.Stat()
		}
	}
	if err != nil {
		return "", err
	}
	return identity(stat), nil
}

// identity tells a process from any other of its ID, before and after a reboot.
func identity(stat procfs.ProcStat) string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // the rest is nearly as good
	return fmt.Sprintf("%d:%d:%s", stat.PID, stat.Starttime, strings.TrimSpace(string(boot)))
}

// Gone tells whether the owner of something is no more: its process, or the job
// response as that process sees it, which may have a /tmp of its own. Who cannot
// be understood is believed to live.
func Gone(owner string) bool {
	i := strings.LastIndex(owner, ":/")
	pid, _, found := strings.Cut(owner, ":")
	number, err := strconv.Atoi(pid)
	if i < 0 || !found || err != nil {
		return false
	}
	process, err := procfs.NewProc(number)
	if err != nil {
		return os.IsNotExist(err)
	}
	stat, err := process.Stat()
	if err != nil {
		return false
	}
	if identity(stat) != owner[:i] {
		return true
	}
	_, err = os.Stat(fmt.Sprintf("/proc/%d/root%s", number, owner[i+1:]))
	return os.IsNotExist(err)
}

// Leftovers lists the jobs that have something in the container engine although
// the runner that they belonged to is gone, or has finished with them.
func (e *Executor) Leftovers(ctx context.Context) ([]int64, error) {
	return e.jobs(ctx, func(_ int64, owner string) bool { return Gone(owner) })
}

// jobs lists those that have something in the container engine, by their ID and
// owner. A job's workspace comes first and goes last.
func (e *Executor) jobs(ctx context.Context, which func(id int64, owner string) bool) ([]int64, error) {
	found, err := e.Engine.Objects(ctx, map[string]string{review.LabelRole: review.RoleJob})
	if err != nil {
		return nil, err
	}
	seen := map[int64]bool{}
	var jobs []int64
	for _, object := range found {
		labels := object.Labels
		id, err := strconv.ParseInt(labels[review.LabelJob], 10, 64)
		if err != nil || seen[id] || !which(id, labels[labelOwner]) {
			continue
		}
		seen[id] = true
		jobs = append(jobs, id)
	}
	return jobs, nil
}

// removeLeftovers removes what this job's killed prepare has left, and what
// other jobs have whose runner is gone. Only the former must succeed.
func (e *Executor) removeLeftovers(ctx context.Context, job Job) error {
	jobs, err := e.jobs(ctx, func(id int64, owner string) bool { return id == job.ID || Gone(owner) })
	if err != nil {
		return err
	}
	for _, id := range jobs {
		err := e.RemoveJob(ctx, id)
		if err != nil && id == job.ID {
			return err
		}
		if err != nil && ctx.Err() == nil {
			e.Operator.WithError(err).Warn("what a killed job has left is not removed yet")
		}
	}
	return nil
}

// RemoveJob removes the containers, the network and the workspace of a job, and
// nothing of an app that it deployed.
func (e *Executor) RemoveJob(ctx context.Context, id int64) error {
	labels := map[string]string{review.LabelJob: strconv.FormatInt(id, 10), review.LabelApp: ""}
	if err := e.Apps.Containers.Remove(ctx, labels, 0); err != nil {
		return fmt.Errorf("remove the containers of job %d: %w", id, err)
	}
	return nil
}
