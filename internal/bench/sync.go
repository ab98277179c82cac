package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

const (
	syncedProjects = 20
	syncedApps     = 50 // of each
)

// synced measures a sync that has nothing to do, of a host full of static sites.
func (b *bench) synced() []figure {
	gitlab := gitlabtest.New()
	defer gitlab.Close()
	b.fill(gitlab)
	config := b.configFor(gitlab)
	run := func(name string) *exec.Cmd {
		cmd := exec.Command(b.program, "--config", config, name)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.failed(fmt.Errorf("%s: %w\n%s", name, err, out))
		}
		return cmd
	}
	run("front")
	gitlab.Reset()
	var memory float64
	var times []float64
	for range 3 {
		start := time.Now()
		cmd := run("sync")
		times = append(times, time.Since(start).Seconds())
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			memory = max(memory, float64(usage.Maxrss)/1024)
		}
	}
	requests := 0
	for _, n := range gitlab.Requests() {
		requests += n
	}
	return []figure{
		{Name: "lifecycle.sync_1000_s", Value: median(times), Unit: "s", Goal: 5},
		{Name: "lifecycle.sync_requests", Value: float64(requests) / float64(len(times)), Unit: "requests", Goal: 100},
		{Name: "lifecycle.sync_peak_mb", Value: memory, Unit: "MB", Goal: 50},
	}
}

// fill makes the projects, and an app for each of their branches.
func (b *bench) fill(gitlab *gitlabtest.Server) {
	state := filepath.Join(b.host.Dir, "state")
	records := review.NewRecords(state)
	b.failed(records.Begin())
	for p := range syncedProjects {
		project := gitlabtest.Project{ID: int64(p + 1), Path: fmt.Sprintf("group/project-%d", p)}
		for a := range syncedApps {
			branch := fmt.Sprintf("branch-%d-%d", p, a)
			project.Branches = append(project.Branches, branch)
			project.Environments = append(project.Environments, gitlabtest.Environment{Name: "review/" + branch})
			release := review.Release{ID: "3f2c1a9-1", Ref: branch, Branch: branch, SHA: fmt.Sprintf("%040d", a), Job: 1, Static: true, Deployed: time.Now()}
			dir := records.SiteDir(branch, release.ID)
			b.failed(os.MkdirAll(dir, 0o755))
			b.failed(os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello\n"), 0o644))
			b.failed(records.Save(review.Record{
				App:  review.App{Name: branch, Host: branch + ".review.localhost", ProjectID: project.ID, Project: project.Path, Environment: "review/" + branch},
				Live: release,
			}))
		}
		gitlab.Set(project)
	}
}

// configFor is the host's configuration with that GitLab.
func (b *bench) configFor(gitlab *gitlabtest.Server) string {
	token := filepath.Join(b.host.Dir, "token")
	b.failed(os.WriteFile(token, []byte(gitlab.Token), 0o600))
	config, err := os.ReadFile(b.host.Config())
	b.failed(err)
	file := filepath.Join(b.host.Dir, "config-gitlab.toml")
	b.failed(os.WriteFile(file, fmt.Appendf(config, "\n[gitlab]\nurl = %q\ntoken_file = %q\n", gitlab.URL, token), 0o644))
	return file
}
