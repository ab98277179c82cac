package podman

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

	"gitlab.com/review-executor/review-executor/review"
)

// controllers tells which cgroup controllers Podman's containers can have,
// Podman being run by this process's user: all of them for root, none for
// others below cgroup v1, and else those that systemd has delegated.
func controllers() map[string]bool {
	const root = "/sys/fs/cgroup"
	file := filepath.Join(root, "cgroup.controllers")
	if _, err := os.Stat(file); err != nil { // v1
		isRoot := os.Getuid() == 0
		return map[string]bool{"memory": isRoot, "cpu": isRoot, "pids": isRoot}
	}
	if uid := os.Getuid(); uid != 0 {
		file = fmt.Sprintf("%s/user.slice/user-%d.slice/user@%d.service/cgroup.controllers", root, uid, uid)
	}
	delegated, _ := os.ReadFile(file) // no file, no controllers
	can := map[string]bool{}
	for _, name := range strings.Fields(string(delegated)) {
		can[name] = true
	}
	return can
}

// outOfMemory tells whether the kernel has killed a process of the cgroup that
// this process, as the host counts, is in.
func outOfMemory(pid int) bool {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return false
	}
	groups, _ := process.Cgroups() // it has just ended
	for _, group := range groups {
		file := filepath.Join("/sys/fs/cgroup", group.Path, "memory.events")
		if slices.Contains(group.Controllers, "memory") { // v1
			file = filepath.Join("/sys/fs/cgroup/memory", group.Path, "memory.oom_control")
		}
		counts, _ := os.ReadFile(file) // another controller's
		for line := range strings.Lines(string(counts)) {
			if count, found := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); found && count != "0" {
				return true
			}
		}
	}
	return false
}

// Unenforced names the limits that this host cannot enforce.
func Unenforced(isolation review.Isolation) []string {
	can := controllers()
	var names []string
	for _, limit := range []struct {
		name string
		set  bool
	}{{"memory", isolation.Memory != 0}, {"cpu", isolation.CPUs != 0}, {"pids", isolation.PIDs != 0}} {
		if limit.set && !can[limit.name] {
			names = append(names, limit.name)
		}
	}
	return names
}
