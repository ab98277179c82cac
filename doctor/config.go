package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Config checks the configuration file: that it is there, that the runner's user can read
// it, that nobody but root can change it, and every problem in it.
func (h Host) Config(ctx context.Context) []Finding {
	if h.Missing {
		return fail("there is no "+h.ConfigFile+", which at least names the domain of the apps",
			`printf 'domain = "review.example.org"\n' | install -D -m 0644 /dev/stdin `+Quote(h.ConfigFile))
	}
	var found []Finding
	if may, known := h.User.may(ctx, "-r", h.ConfigFile); known && !may {
		return fail(fmt.Sprintf("%s may not read %s", h.User.Name, h.ConfigFile), command("chmod", "a+r", h.ConfigFile))
	}
	for _, problem := range h.Problems {
		for line := range strings.Lines(problem.Error()) {
			found = append(found, fail(strings.TrimSpace(line), "sensible-editor "+Quote(h.ConfigFile)+" && "+h.again())...)
		}
	}
	if info, err := os.Stat(h.ConfigFile); err == nil && info.Mode().Perm()&0o022 != 0 {
		found = append(found, fail(fmt.Sprintf("others than its owner may change %s (mode %#o): it decides who may deploy", h.ConfigFile, info.Mode().Perm()),
			command("chmod", "go-w", h.ConfigFile))...)
	}
	return orOK(found, "%s has no problem", h.ConfigFile)
}

// State checks the directory of the records: the runner's user owns it, and can write to it.
func (h Host) State(ctx context.Context) []Finding {
	make := command("install", "-d", "-o", h.User.Name, "-g", h.User.group(), "-m", "0711", h.StateDir)
	info, err := os.Stat(h.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(fmt.Sprintf("there is no %s, where the records of the apps are to be", h.StateDir), make)
	case err != nil:
		return fail(err.Error())
	case !info.IsDir():
		return fail(h.StateDir + " is no directory")
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != h.User.UID {
		return fail(fmt.Sprintf("%s belongs to %s, and the runner runs as %s", h.StateDir, userName(owner), h.User.Name),
			command("chown", "-R", h.User.Name+":", h.StateDir))
	}
	if may, known := h.User.may(ctx, "-w", h.StateDir); known && !may {
		return fail(fmt.Sprintf("%s cannot write to %s (mode %#o)", h.User.Name, h.StateDir, info.Mode().Perm()), command("chmod", "u+rwx", h.StateDir))
	}
	if foreign := foreignFile(h.StateDir, h.User.UID); foreign != "" {
		return fail(fmt.Sprintf("%s is not %s's, who can then change nothing of it", foreign, h.User.Name), command("chown", "-R", h.User.Name+":", h.StateDir))
	}
	return ok("%s is %s's", h.StateDir, h.User.Name)
}
