package doctor

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// most is more than any file of configuration has.
const most = 1 << 20

// read reads a file of configuration. Where root reads what the runner's user may have put there,
// it follows no link, waits for no pipe, and takes 1 MiB at most.
func (h Host) read(file string) ([]byte, error) {
	if !h.Root || h.User.isRoot() || !mayCreate(file, h.User) {
		return os.ReadFile(file)
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: file, Err: errors.New("is no plain file")}
	}
	return io.ReadAll(io.LimitReader(f, most))
}
