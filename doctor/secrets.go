package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Secret is a file that only the runner's user may read.
type Secret struct{ Key, File string }

// Secrets checks the files of tokens and secrets: never what is in them.
func (h Host) Secrets(files []Secret) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if len(files) == 0 {
			return skip("the configuration names none")
		}
		var found []Finding
		for _, s := range files {
			found = append(found, h.secret(ctx, s)...)
		}
		return orOK(found, "%d files, private to %s", len(files), h.User.Name)
	}
}

func (h Host) secret(ctx context.Context, s Secret) []Finding {
	// In a directory of its own the user could have put a link in the file's place since.
	own := command("chown", "--no-dereference", h.User.Name+":", s.File) + " && " + h.User.Command("chmod", "600", s.File)
	info, err := os.Lstat(s.File)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 && !mayCreate(s.File, h.User) {
		info, err = os.Stat(s.File) // root's link
		own = command("chown", h.User.Name+":", s.File) + " && " + command("chmod", "600", s.File)
	}
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fail(fmt.Sprintf("%s, which %s names, is no plain file", s.File, s.Key))
	case errors.Is(err, fs.ErrNotExist):
		return fail(fmt.Sprintf("there is no %s, which %s names", s.File, s.Key), fmt.Sprintf("install -o %s -m 0600 /dev/stdin %s  # then type the secret, Enter and Ctrl-D", Quote(h.User.Name), Quote(s.File)))
	case errors.Is(err, fs.ErrPermission):
		return fail(fmt.Sprintf("%s, which %s names, cannot be reached: %v", s.File, s.Key, cause(err)))
	case err != nil:
		return fail(err.Error())
	case info.Size() == 0:
		return fail(fmt.Sprintf("%s, which %s names, is empty", s.File, s.Key), fmt.Sprintf("install -o %s -m 0600 /dev/stdin %s  # then type the secret, Enter and Ctrl-D", Quote(h.User.Name), Quote(s.File)))
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if info.Mode().Perm()&0o077 != 0 {
		return fail(fmt.Sprintf("others than its owner may read %s (mode %#o), and so it is refused", s.File, info.Mode().Perm()), own)
	}
	if may, known := h.User.may(ctx, "-r", s.File); owner != h.User.UID && known && !may {
		return fail(fmt.Sprintf("%s may not read %s, which is %s's", h.User.Name, s.File, userName(owner)), own)
	}
	return nil
}
