package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gitlab.com/review-executor/review-executor/review"
)

// checkTrust keeps the front's unit from working for who must not command it: what
// it and Apache take as configuration must be in nobody's reach who owns the state.
func checkTrust(s Settings, config string) error {
	state, err := os.Stat(s.StateDir)
	if err != nil {
		return nil // there are no records either
	}
	suspect := owner(state)
	for _, path := range []string{config, s.Apache.VhostDir, s.Apache.VhostTemplate, s.Apache.LoginConfig} {
		if path == "" {
			continue
		}
		if err := reach(path, suspect); err != nil {
			return &review.Failure{
				What:  "the virtual hosts cannot be trusted to this unit",
				Cause: err,
				State: "nothing was changed; what is serving goes on serving",
				Hint:  "the host's administrator should give it to root: whoever writes it has Apache's power, and that is root's",
			}
		}
	}
	return nil
}

// reach tells how the user could change what is at path: the file, or a directory
// above it.
func reach(path string, suspect uint32) error {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && path != "/" {
			continue
		}
		switch {
		case err != nil:
			return err
		case suspect != 0 && owner(info) == suspect:
			return fmt.Errorf("%s belongs to the user whose the state is", path)
		case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
			return fmt.Errorf("%s is everybody's to write", path)
		case info.Mode().Perm()&0o020 != 0 && !trustedGroup(group(info)):
			return fmt.Errorf("%s is its group's to write", path)
		}
		if path == "/" {
			return nil
		}
	}
}

// trustedGroup tells whether who is in the group may write: root's, and that of the unit itself.
func trustedGroup(gid uint32) bool { return gid == 0 || int(gid) == os.Getegid() }

func group(info fs.FileInfo) uint32 {
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return 0
	}
	return stat.Gid
}

func owner(info fs.FileInfo) uint32 {
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return 0
	}
	return stat.Uid
}
