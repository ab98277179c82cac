package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/runner"
)

// driver measures jobs. The empty job and its floor take turns, so that what
// else the machine does meets both.
func (b *bench) driver() []figure {
	config := b.median(20, b.config)
	b.median(1, b.emptyJob) // the first warms the caches
	var empty, floor []float64
	for range 9 {
		empty = append(empty, b.median(1, b.emptyJob))
		floor = append(floor, b.median(1, b.podmanFloor))
	}
	job := median(empty) / 1000
	own := b.ownWork(5)
	// A log of 100 MB, and a build context of 200.
	large := b.spent("seq 15000000", "head -c 200M /dev/urandom >large", `printf 'FROM `+hosttest.Busybox+`\nCOPY large /\nEXPOSE 80\nCMD httpd -f' >Containerfile`)
	return []figure{
		{Name: "driver.config_ms", Value: config, Unit: "ms", Goal: 15},
		{Name: "driver.stage_own_ms", Value: slices.Max(own), Unit: "ms", Goal: 20},
		{Name: "driver.empty_job_s", Value: job, Unit: "s", Goal: 0.985}, // half of the docker executor's
		{Name: "driver.podman_floor_s", Value: median(floor) / 1000, Unit: "s", Goal: job},
		{Name: "driver.peak_mb", Value: most(large, func(s spent) float64 { return s.PeakMB }), Unit: "MB", Goal: 40},
	}
}

// config is the stage alone, with the job response that the runner would write.
func (b *bench) config() error {
	file := filepath.Join(b.host.Dir, "job-response")
	response := `{"id": 1, "job_info": {"project_id": 1, "project_full_path": "group/shop"}, "git_info": {"ref": "main", "sha": "` + fmt.Sprintf("%040d", 1) + `"}}`
	if err := os.WriteFile(file, []byte(response), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(b.program, "--config", b.host.Config(), "config")
	cmd.Env = append(os.Environ(), "JOB_RESPONSE_FILE="+file)
	return cmd.Run()
}

// emptyJob is a job with "script: [true]" and no environment, through all
// stages, with a checkout.
func (b *bench) emptyJob() error {
	job := runner.Job{Dir: b.project, Script: []string{"true"}}
	return job.Run(context.Background(), []string{b.program, "--config", b.host.Config()}, io.Discard)
}
