package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// perContainer is how many user IDs each job and each app gets.
const perContainer = 65536

// fewContainers is how many jobs and apps should have user IDs of their own.
const fewContainers = 16

// manyIDs are those of a hundred jobs and apps.
const manyIDs = 100 * perContainer

// Runner checks that the runner has a user of its own.
func (h Host) Runner(context.Context) []Finding {
	if h.User.isRoot() {
		return warn("the runner runs as root: who breaks out of a job's container is root",
			append(addRunner(), command("chown", "-R", "gitlab-runner:", h.StateDir))...)
	}
	if h.User.missing() {
		return fail("there is no user gitlab-runner, and nobody owns "+h.StateDir,
			append(addRunner(), "install -d -o gitlab-runner -g gitlab-runner -m 0711 "+Quote(h.StateDir))...)
	}
	return ok("%s (%d)", h.User.Name, h.User.UID)
}

// runnerHome is where gitlab-runner's package has it, and the package's units let it write.
const runnerHome = "/home/gitlab-runner"

// addRunner is for root's shell: it adds the user, and makes what the package could not give it.
func addRunner() []string {
	add := []string{"useradd --system --create-home --home-dir " + runnerHome + " --shell /bin/bash gitlab-runner"}
	if _, err := os.Stat("/usr/lib/tmpfiles.d/review-executor.conf"); err == nil {
		add = append(add, "systemd-tmpfiles --create")
	}
	return add
}

// Linger checks that the user's systemd, and with it Podman's socket, is there when nobody
// is logged in. dir is systemd's, /var/lib/systemd/linger.
func (h Host) Linger(dir string) func(context.Context) []Finding {
	return func(context.Context) []Finding {
		if h.User.isRoot() {
			return skip("root needs none")
		}
		if _, err := os.Stat(filepath.Join(dir, h.User.Name)); err != nil {
			return fail(fmt.Sprintf("the systemd of %s ends with its last login, and every app with it", h.User.Name), command("loginctl", "enable-linger", h.User.Name))
		}
		return ok("%s has it", h.User.Name)
	}
}

// SubIDs checks that jobs and apps can have user IDs of their own. file is /etc/subuid or
// /etc/subgid, and flag is usermod's.
func (h Host) SubIDs(file, flag string) func(context.Context) []Finding {
	return func(context.Context) []Finding {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fail(err.Error())
		}
		user := h.User
		if user.isRoot() {
			user.Name = "containers" // whose IDs Podman gives to what root starts
		}
		count, free := subIDs(string(text), user)
		what := map[string]string{"--add-subuids": "user", "--add-subgids": "group"}[flag]
		first := command("usermod", flag, fmt.Sprintf("%d-%d", free, free+manyIDs-1), user.Name)
		if user.isRoot() && user.Name == "containers" {
			first = fmt.Sprintf("echo containers:%d:%d >> %s", free, manyIDs, file)
		}
		mend := []string{first, h.User.Command("podman", "system", "migrate"), h.asRunner("sync")}
		switch {
		case count < perContainer:
			return fail(fmt.Sprintf("%s has %d subordinate %s IDs in %s, and a container needs %d", user.Name, count, what, file, perContainer), mend...)
		case count < fewContainers*perContainer:
			return warn(fmt.Sprintf("%s has %d subordinate %s IDs in %s, enough for %d jobs and apps at a time; more share them", user.Name, count, what, file, count/perContainer), mend...)
		}
		return ok("%d, enough for %d jobs and apps at a time", count, count/perContainer)
	}
}

// subIDs counts the IDs that are the user's, and finds where a hundred more are free.
func subIDs(text string, user User) (count, free int64) {
	free = 1_000_000
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSpace(line), ":")
		if len(parts) != 3 {
			continue
		}
		first, errFirst := strconv.ParseInt(parts[1], 10, 64)
		length, errLength := strconv.ParseInt(parts[2], 10, 64)
		if errFirst != nil || errLength != nil || first < 0 || length < 0 {
			continue
		}
		free = max(free, first+length)
		if parts[0] == user.Name || parts[0] == strconv.FormatUint(uint64(user.UID), 10) {
			count += length
		}
	}
	return count, free
}
