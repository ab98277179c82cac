package podman

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/system"

	"gitlab.com/review-executor/review-executor/review"
)

// buildGroup is a cgroup that all steps of one build are below. It limits how many
// processes they have together, and what is in it can be ended, which the build
// endpoint can do neither of.
//
// The engine makes a cgroup in it for each step and removes that again. There is
// none where only systemd makes cgroups, and none without root.
type buildGroup struct{ name string }

const (
	cgroups          = "/sys/fs/cgroup"
	buildGroupPrefix = "review-build-"
)

// newBuildGroup makes one, or none: nil works as a group without members.
func (p *Podman) newBuildGroup(ctx context.Context, isolation review.Isolation) *buildGroup {
	if os.Getuid() != 0 || !p.isRoots() || p.cgroupManager(ctx) != "cgroupfs" {
		return nil
	}
	removeAbandoned()
	g := &buildGroup{fmt.Sprintf("%s%d-%08x", buildGroupPrefix, os.Getpid(), rand.Uint32())} //nolint:gosec // no secret
	dir := filepath.Join(cgroups, g.name)
	if _, err := os.Stat(filepath.Join(cgroups, "pids")); err == nil { // v1
		dir = filepath.Join(cgroups, "pids", g.name)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil // a cgroup file system that is not ours to write
	}
	if isolation.PIDs > 0 {
		_ = os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.FormatInt(isolation.PIDs, 10)), 0o644) // no file without that controller
	}
	return g
}

// isRoots tells whether the service is root's.
func (p *Podman) isRoots() bool {
	file, local := strings.CutPrefix(p.socket, "unix://")
	info, err := os.Stat(file)
	if !local || err != nil {
		return false
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	return known && owner.Uid == 0
}

// cgroupManager is the service's, as its newest container tells: a build's job has
// one, and to ask for what the whole host is takes Podman half a second.
func (p *Podman) cgroupManager(ctx context.Context) string {
	found, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithLast(1))
	if err == nil && len(found) == 1 {
		container, err := containers.Inspect(p.call(ctx), found[0].ID, nil)
		if err == nil && container.HostConfig != nil && container.HostConfig.CgroupManager != "" {
			return container.HostConfig.CgroupManager
		}
	}
	info, err := system.Info(p.call(ctx), nil)
	if err != nil || info.Host == nil {
		return ""
	}
	return info.Host.CgroupManager
}

// parent is what the build endpoint calls cgroupparent, and takes for the cgroup of
// a step itself.
func (g *buildGroup) parent() string { return "/" + g.name + "/step" }

// dirs are those of the group and its steps, the innermost first: with cgroup v1
// each controller has its own.
func (g *buildGroup) dirs() []string {
	var dirs []string
	for _, pattern := range []string{"*/%s/*", "*/%s", "%s/*", "%s"} {
		found, _ := filepath.Glob(filepath.Join(cgroups, fmt.Sprintf(pattern, g.name)))
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(name string) bool {
		info, err := os.Lstat(name)
		return err != nil || !info.IsDir()
	})
}

// kill ends every process in the group.
func (g *buildGroup) kill() {
	for _, dir := range g.dirs() {
		if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
			continue
		}
		members, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, member := range strings.Fields(string(members)) {
			if pid, err := strconv.Atoi(member); err == nil && pid > 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	}
}

// killUntil ends whatever begins in the group until done is closed, at most for the
// time that an engine may need to notice.
func (g *buildGroup) killUntil(done <-chan struct{}) {
	deadline := time.After(20 * time.Second)
	for {
		g.kill()
		select {
		case <-done:
			return
		case <-deadline:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// remove removes the group. One that somebody is in stays, for removeAbandoned.
func (g *buildGroup) remove() {
	if g == nil {
		return
	}
	for range tries {
		g.kill()
		left := false
		for _, dir := range g.dirs() {
			err := os.Remove(dir)
			left = left || err != nil && !errors.Is(err, fs.ErrNotExist)
		}
		if !left {
			return
		}
		time.Sleep(retryAfter / 4)
	}
}

// removeAbandoned ends the builds whose process of ours was killed.
func removeAbandoned() {
	for _, pattern := range []string{"pids/", ""} {
		found, _ := filepath.Glob(filepath.Join(cgroups, pattern+buildGroupPrefix+"*"))
		for _, dir := range found {
			name := filepath.Base(dir)
			owner, _, _ := strings.Cut(strings.TrimPrefix(name, buildGroupPrefix), "-")
			if pid, err := strconv.Atoi(owner); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				(&buildGroup{name}).remove()
			}
		}
	}
}
