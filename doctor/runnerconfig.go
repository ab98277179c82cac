package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// runnerFile is gitlab-runner's configuration, as far as it is ours to check.
type runnerFile struct {
	Runners []runner `toml:"runners"`
}

type runner struct {
	Name     string         `toml:"name"`
	Executor string         `toml:"executor"`
	Custom   map[string]any `toml:"custom"`
}

// stages are those that gitlab-runner calls a program for.
var stages = []string{"config", "prepare", "run", "cleanup"}

// killTimeout is how many seconds gitlab-runner should wait for a cancelled job: a deploy that
// cannot be broken off any more takes as long.
const killTimeout = 200

// RunnerConfig checks that gitlab-runner calls this program for every stage. file is
// gitlab-runner's configuration.
func (h Host) RunnerConfig(file string) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		text, err := os.ReadFile(file)
		if !errors.Is(err, fs.ErrNotExist) {
			if may, known := h.User.may(ctx, "-r", file); known && !may {
				return fail(fmt.Sprintf("%s may not read %s: as that user, gitlab-runner does not start", h.User.Name, file), h.readableRunner(file), "systemctl try-restart gitlab-runner.service")
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if other := filepath.Join(h.User.Home, ".gitlab-runner", "config.toml"); other != file {
				if found := h.RunnerConfig(other)(ctx); found[0].Level == OK {
					return found
				}
			}
			return fail("there is no "+file+": no runner is registered on this host",
				"# install gitlab-runner, make a runner with the tag review in GitLab, then: gitlab-runner register --executor custom")
		case errors.Is(err, fs.ErrPermission):
			return skip("only root may read %s", file)
		case err != nil:
			return fail(err.Error())
		}
		var conf runnerFile
		if err := toml.Unmarshal(text, &conf); err != nil {
			return fail(fmt.Sprintf("%s: %v", file, err), "sensible-editor "+Quote(file))
		}
		return h.runners(file, conf)
	}
}

// runners checks those that are ours, which are all of the executor "custom" that call us
// for at least one stage, or else the only one of that executor.
func (h Host) runners(file string, conf runnerFile) []Finding {
	custom := slices.DeleteFunc(slices.Clone(conf.Runners), func(r runner) bool { return r.Executor != "custom" })
	ours := slices.DeleteFunc(slices.Clone(custom), func(r runner) bool {
		return !slices.ContainsFunc(stages, func(stage string) bool { return h.calls(r.Custom[stage+"_exec"]) })
	})
	if len(ours) == 0 && len(custom) == 1 {
		ours = custom
	}
	if len(ours) == 0 {
		return fail(file+" has no runner that calls "+h.Program+": no job comes here", "printf '%s\\n' "+Quote(h.section())+" # goes below the runner in "+Quote(file))
	}
	var found []Finding
	for _, r := range ours {
		// A table at the file's end is the last runner's.
		if last := conf.Runners[len(conf.Runners)-1]; len(r.Custom) == 0 && last.Executor == "custom" && len(custom) == 1 {
			return append(found, fail(fmt.Sprintf("runner %q has no [runners.custom]: it calls nothing", printable(r.Name)), "printf '%s\\n' "+Quote(h.section())+" >> "+Quote(file))...)
		}
		edit := "sensible-editor " + Quote(file)
		if len(custom) == 1 && len(r.Custom) > 0 {
			edit = ""
		}
		found = append(found, h.runner(file, edit, r)...)
	}
	return orOK(found, "%d runners call %s", len(ours), h.Program)
}

func (h Host) calls(value any) bool {
	path, _ := value.(string)
	return filepath.Base(path) == filepath.Base(h.Program)
}

// runner checks one runner, key by key. edit mends what no command can; "": setKey does.
func (h Host) runner(file, edit string, r runner) (found []Finding) {
	problem := func(level Level, key, line, what string) {
		found = append(found, one(level, fmt.Sprintf("runner %q: %s", printable(r.Name), what), cmp.Or(edit, setKey(file, r.Custom, key, line)))...)
	}
	for _, stage := range stages {
		key := stage + "_exec"
		path, _ := r.Custom[key].(string)
		info, err := os.Stat(path)
		switch {
		case path == "":
			problem(Fail, key, key+" = "+tomlString(h.Program), key+" is missing: the stage is not done")
		case !h.calls(path):
			problem(Fail, key, key+" = "+tomlString(h.Program), fmt.Sprintf("%s is %s, not %s", key, path, h.Program))
		case err != nil || info.Mode().Perm()&0o111 == 0:
			problem(Fail, key, key+" = "+tomlString(h.Program), fmt.Sprintf("%s names %s, which cannot be run", key, path))
		}
		args, _ := r.Custom[stage+"_args"].([]any)
		if len(args) == 0 || args[len(args)-1] != stage {
			problem(Fail, stage+"_args", stage+"_args = "+tomlStrings(h.StageArgs(stage)), fmt.Sprintf("%s_args must end in %q", stage, stage))
		}
	}
	for _, key := range []string{"graceful_kill_timeout", "force_kill_timeout"} {
		if seconds, _ := r.Custom[key].(int64); seconds < killTimeout {
			problem(Warn, key, fmt.Sprintf("%s = %d", key, killTimeout), fmt.Sprintf("%s is %v: a cancelled deploy is killed before it has tidied up", key, orUnset(r.Custom[key])))
		}
	}
	return found
}

func orUnset(value any) any {
	if value == nil {
		return "not set"
	}
	return value
}

func tomlString(s string) string { return fmt.Sprintf("%q", s) }

func tomlStrings(words []string) string {
	var all []string
	for _, word := range words {
		all = append(all, tomlString(word))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// StageArgs are what gitlab-runner calls this program with for a stage, before its own arguments.
func (h Host) StageArgs(stage string) []string { return h.own(stage)[1:] }

// section is what belongs into gitlab-runner's configuration.
func (h Host) section() string {
	var b strings.Builder
	b.WriteString("  [runners.custom]\n")
	for _, stage := range stages {
		fmt.Fprintf(&b, "    %s_exec = %s\n    %s_args = %s\n", stage, tomlString(h.Program), stage, tomlStrings(h.StageArgs(stage)))
	}
	fmt.Fprintf(&b, "    graceful_kill_timeout = %d\n    force_kill_timeout = %d", killTimeout, killTimeout)
	return b.String()
}

// setKey is for root's shell: it sets one key of [runners.custom], where the file has one such
// table, and keeps the rest.
func setKey(file string, custom map[string]any, key, line string) string {
	script := `/^[[:space:]]*\[runners\.custom\]/a\    ` + line
	if custom[key] != nil {
		script = `s|^[[:space:]]*` + key + `[[:space:]]*=.*|    ` + line + `|`
	}
	return command("sed", "-i", script, file)
}

// HasRunner tells whether gitlab-runner's configuration has a runner of the executor "custom".
// A file that cannot be read might have one.
func HasRunner(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	var conf runnerFile
	if err := toml.Unmarshal(text, &conf); err != nil {
		return true
	}
	return slices.ContainsFunc(conf.Runners, func(r runner) bool { return r.Executor == "custom" })
}

// readableRunner is for root's shell: it lets the runner's user read gitlab-runner's configuration,
// which root's gitlab-runner makes for itself alone.
func (h Host) readableRunner(file string) string {
	dir := filepath.Dir(file)
	return command("chgrp", "-R", h.User.group(), dir) + " && " + command("chmod", "-R", "g+rX", dir)
}

// dropIn is for root's shell: it has gitlab-runner run as the user who owns the apps, and as long as
// that user's systemd, in which Podman is. Else a shutdown ends Podman first, jobs cannot be
// cleaned up any more, and their containers hold it up.
func (h Host) dropIn(name string) string {
	text := `[Service]\nUser=` + h.User.Name + `\n`
	if manager := h.User.manager(); manager != "" {
		text = `[Unit]\nWants=` + manager + `\nAfter=` + manager + `\n` + text
	}
	return fmt.Sprintf("mkdir -p /etc/systemd/system/%s.d && printf '%s' > /etc/systemd/system/%s.d/review-executor.conf", name, text, name)
}

// RunnerUser checks that gitlab-runner runs as the user who owns the apps, and not longer than that
// user's systemd. name is its unit, and file its configuration.
func (h Host) RunnerUser(name, file string) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if !systemd() {
			return skip("there is no systemd")
		}
		u, err := ask(ctx, name, "LoadState", "ActiveState", "UnitFileState", "User", "After")
		switch {
		case err != nil:
			return skip("systemd does not answer: %v", err)
		case u["LoadState"] == "masked":
			return fail(name+" is masked: no job comes here", unmask(name), "systemctl enable --now "+name)
		case u["LoadState"] != "loaded":
			return fail("there is no "+name+": no job comes here", "# https://docs.gitlab.com/runner/install/ says how to install gitlab-runner")
		}
		var found []Finding
		user := cmp.Or(u["User"], "root")
		if user != h.User.Name {
			mend := []string{h.dropIn(name)}
			if _, err := os.Stat(filepath.Dir(file)); err == nil {
				mend = append(mend, h.readableRunner(file))
			}
			found = fail(fmt.Sprintf("%s runs as %s, and the apps are %s's", name, user, h.User.Name),
				append(mend, "systemctl daemon-reload && systemctl try-restart "+name)...)
		} else if manager := h.User.manager(); manager != "" && !slices.Contains(strings.Fields(u["After"]), manager) {
			found = warn(fmt.Sprintf("%s is not ordered after %s: a shutdown ends Podman first, and waits for the containers of jobs", name, manager),
				h.dropIn(name)+" && systemctl daemon-reload")
		}
		switch {
		case u["ActiveState"] != "active":
			found = append(found, fail(fmt.Sprintf("%s is %s: no job comes here", name, u["ActiveState"]), "systemctl enable --now "+name)...)
		case u["UnitFileState"] == "disabled":
			found = append(found, fail(name+" runs, and will not after a reboot", "systemctl enable "+name)...)
		}
		return orOK(found, "%s runs as %s", name, h.User.Name)
	}
}
