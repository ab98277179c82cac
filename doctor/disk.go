package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/dustin/go-humanize"
)

// space is what a file system has.
type space struct {
	Total, Free   uint64 // bytes, for users
	Inodes, Spare uint64 // 0 inodes: as many as there is room for
}

// Shares of a file system that should be free.
const (
	warnFree = 10 // percent
	failFree = 3
	muchFree = 20 << 30 // bytes, which are enough whatever their share
)

// Disk checks the room of the file system that a directory is on. directory is asked only
// when the check runs, and may tell an error.
func (h Host) Disk(directory func(context.Context) (string, error)) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		dir, err := directory(ctx)
		if err != nil {
			return silent()
		}
		var s syscall.Statfs_t
		for err = syscall.Statfs(dir, &s); errors.Is(err, syscall.ENOENT) && dir != "/"; err = syscall.Statfs(dir, &s) {
			dir = filepath.Dir(dir) // it will be made there
		}
		if err != nil {
			return skip("%s: %v", dir, err)
		}
		block := uint64(s.Bsize) //nolint:gosec // never negative
		return h.room(dir, space{Total: s.Blocks * block, Free: s.Bavail * block, Inodes: s.Files, Spare: s.Ffree})
	}
}

func (h Host) room(dir string, s space) []Finding {
	level := func(free, total uint64) Level {
		switch {
		case total == 0 || free*100 >= total*warnFree:
			return OK
		case free*100 >= total*failFree:
			return Warn
		}
		return Fail
	}
	prune := []string{h.asRunner("prune"), h.User.Command("podman", "image", "prune", "--force")}
	bytes := level(s.Free, s.Total)
	if bytes == Warn && s.Free >= muchFree {
		bytes = OK
	}
	var found []Finding
	if bytes != OK {
		found = append(found, one(bytes, fmt.Sprintf("%s of %s are free in %s", humanize.IBytes(s.Free), humanize.IBytes(s.Total), dir), prune...)...)
	}
	if inodes := level(s.Spare, s.Inodes); inodes != OK {
		found = append(found, one(inodes, fmt.Sprintf("%d of %d inodes are free in %s: few more files can be made, whatever room there is", s.Spare, s.Inodes, dir), prune...)...)
	}
	return orOK(found, "%s of %s are free in %s", humanize.IBytes(s.Free), humanize.IBytes(s.Total), dir)
}
