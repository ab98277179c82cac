package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// LastUsed asks the release's proxy, which counts how long it has had no connection. See
// review.Supervisor.
func (s *Systemd) LastUsed(ctx context.Context, app, release string) (time.Time, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return time.Time{}, err
	}
	property, err := conn.GetServicePropertyContext(ctx, serviceUnit(base(app, release)), "MainPID")
	if err != nil {
		return time.Time{}, fmt.Errorf("last use of %s: %w", app, err)
	}
	pid, _ := property.Value.Value().(uint32)
	if pid == 0 {
		return time.Time{}, nil
	}
	idle, known, err := idleTime(filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10)))
	if err != nil {
		return time.Time{}, fmt.Errorf("last use of %s: %w", app, err)
	}
	if !known {
		return time.Time{}, nil
	}
	return time.Now().Add(-idle), nil
}

// idleTime is for how long the proxy with that directory in /proc has had no connection. It
// ends after --exit-idle-time, and the timer that it has for that stands still as long as there
// is a connection: proc_pid_fdinfo(5) has the time that is left.
func idleTime(proc string) (idle time.Duration, known bool, err error) {
	command, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if gone(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	limit, ends := exitIdleTime(string(command))
	if !ends {
		return 0, false, nil
	}
	files, err := os.ReadDir(filepath.Join(proc, "fdinfo"))
	if err != nil && !gone(err) {
		return 0, false, err
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(proc, "fdinfo", file.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if left, isTimer := timeLeft(string(text)); isTimer {
			if left == 0 {
				return 0, true, nil // it is in use
			}
			return max(limit-left, 0), true, nil
		}
	}
	return 0, false, nil
}

// gone tells whether a process has ended while it was looked at.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// exitIdleTime reads the option of a proxy's command line as render writes it.
func exitIdleTime(command string) (time.Duration, bool) {
	for argument := range strings.SplitSeq(command, "\x00") {
		if value, found := strings.CutPrefix(argument, "--exit-idle-time="); found {
			d, err := time.ParseDuration(value)
			return d, err == nil
		}
	}
	return 0, false
}

// timeLeft reads what the kernel tells of a timer's file; 0: it stands still.
func timeLeft(fdinfo string) (left time.Duration, isTimer bool) {
	for line := range strings.Lines(fdinfo) {
		var seconds, nanoseconds int64
		if _, err := fmt.Sscanf(line, "it_value: (%d, %d)", &seconds, &nanoseconds); err == nil {
			return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), true
		}
	}
	return 0, false
}
