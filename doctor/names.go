package doctor

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// group is the name of the user's own; both may not be there yet.
func (u User) group() string {
	if u.missing() {
		return u.Name
	}
	return groupName(u.GID)
}

// foreignFile is one of the records, or of what lies beside them, that is not the user's;
// "": all are.
func foreignFile(state string, uid uint32) string {
	for _, pattern := range []string{"apps", "apps/*", "secrets", "secrets/*", "locks", "locks/*"} {
		paths, _ := filepath.Glob(filepath.Join(state, pattern)) // the pattern is good
		for _, path := range paths {
			if info, err := os.Lstat(path); err == nil && info.Sys().(*syscall.Stat_t).Uid != uid {
				return path
			}
		}
	}
	return ""
}

// hasRecords tells whether there are apps.
func hasRecords(state string) bool {
	records, _ := filepath.Glob(filepath.Join(state, "apps", "*.json")) // the pattern is good
	return len(records) > 0
}

// mayCreate tells whether the user owns the directory of the file.
func mayCreate(file string, u User) bool {
	info, err := os.Stat(filepath.Dir(file))
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == u.UID
}
