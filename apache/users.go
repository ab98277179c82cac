package apache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
	"golang.org/x/crypto/bcrypt"
)

// ErrNoUser tells that the file has no such user.
var ErrNoUser = errors.New("there is no such user")

// passwordCost is bcrypt's. A check takes some 50 ms.
const passwordCost = 10

// Users lists the users of a htpasswd file, in its order. Without a file there
// are none.
func Users(path string) ([]string, error) {
	text, err := readUsers(path)
	return usersOf(text), err
}

// SetUser gives a user a password, and adds the user if need be. The rest of
// the file stays as it is. open tells that the file is new and that every user
// of this host can read it: it could not be given to Apache's group.
func SetUser(ctx context.Context, path, name, password string) (open bool, err error) {
	if err := errors.Join(CheckUser(name), CheckPassword(password)); err != nil {
		return false, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	if err != nil {
		return false, err
	}
	err = changeUsers(ctx, path, func(target, text string) error {
		open, err = writeUsers(target, withUser(text, name, userLine(name, string(hash))))
		return err
	})
	return open, err
}

// RemoveUser takes a user out of the file and tells how many are left.
func RemoveUser(ctx context.Context, path, name string) (left int, err error) {
	err = changeUsers(ctx, path, func(target, text string) error {
		if !slices.Contains(usersOf(text), name) {
			return ErrNoUser
		}
		text = withUser(text, name, "")
		left = len(usersOf(text))
		_, err := writeUsers(target, text)
		return err
	})
	return left, err
}

// changeUsers calls change with the file that path leads to and what it holds,
// while no other program of ours changes it. What is locked is its directory:
// the file itself is replaced.
func changeUsers(ctx context.Context, path string, change func(target, text string) error) error {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Dir(target), flock.SetFlag(os.O_RDONLY))
	defer func() { _ = lock.Close() }()
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", filepath.Dir(target), err)
	}
	text, err := readUsers(target)
	if err != nil {
		return err
	}
	return change(target, text)
}

func readUsers(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// writeUsers replaces the file, with the owner and the mode that it had. A new
// one is for Apache's group, if we may give it away, and otherwise for all.
func writeUsers(path, text string) (open bool, err error) {
	file, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Cleanup() }()
	if _, err := file.WriteString(text); err != nil {
		return false, err
	}
	mode, open, err := own(file, path)
	if err != nil {
		return false, err
	}
	if err := file.Chmod(mode); err != nil {
		return false, err
	}
	return open, file.CloseAtomicallyReplace()
}

// own gives file to whom the file at path belongs, and returns its mode.
func own(file *renameio.PendingFile, path string) (mode fs.FileMode, open bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if gid := apacheGroup(); gid != -1 && file.Chown(-1, gid) == nil {
			return 0o640, false, nil
		}
		return 0o644, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	if stat, is := info.Sys().(*syscall.Stat_t); is {
		if err := file.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return 0, false, fmt.Errorf("%s belongs to another user or group: %w", path, err)
		}
	}
	return info.Mode().Perm(), false, nil
}

// apacheGroup is the group of Debian's Apache; -1: there is none.
func apacheGroup() int {
	group, err := user.LookupGroup("www-data")
	if err != nil {
		return -1
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return -1
	}
	return gid
}
