package review

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const (
	// longestFile is the most that a file of the state may hold, in bytes; a record has
	// a few thousand.
	longestFile = 1 << 20
	// mostFiles is how many of one kind there may be.
	mostFiles = 20_000
)

// read returns a file of the state, by its path under it. Whoever reads may have
// more rights than the owner of the state, who must not borrow them: no link leads
// out of the state, only plain files of one name are read, a pipe keeps nobody
// waiting, and what is too long is refused.
func (r *Records) read(name string) ([]byte, error) {
	f, info, err := r.open(name, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	path := filepath.Join(r.dir, name)
	if stat, is := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || !is || stat.Nlink > 1 {
		return nil, fmt.Errorf("%s is no plain file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, longestFile+1))
	if err == nil && len(data) > longestFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, longestFile)
	}
	return data, err
}

// list returns the names in a directory of the state, sorted, as read does.
func (r *Records) list(dir string) ([]string, error) {
	f, info, err := r.open(dir, syscall.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", filepath.Join(r.dir, dir))
	}
	names, err := f.Readdirnames(mostFiles + 1)
	if errors.Is(err, io.EOF) {
		return nil, nil // it is empty
	}
	if err == nil && len(names) > mostFiles {
		return nil, fmt.Errorf("%s has more than %d files", filepath.Join(r.dir, dir), mostFiles)
	}
	slices.Sort(names)
	return names, err
}

func (r *Records) open(name string, flag int) (*os.File, fs.FileInfo, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	if info, err := root.Lstat(name); err != nil || info.Mode().Type()&^fs.ModeDir != 0 {
		return nil, nil, cmp.Or(err, fmt.Errorf("%s is no plain file", filepath.Join(r.dir, name)))
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|flag, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
	}
	return f, info, err
}
