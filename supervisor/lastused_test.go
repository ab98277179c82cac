package supervisor

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// proc is a directory as /proc has one of a process with those files open.
func proc(t *testing.T, command string, fdinfo ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte(command), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "fdinfo"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, text := range fdinfo {
		if err := os.WriteFile(filepath.Join(dir, "fdinfo", string(rune('0'+i))), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestIdleTime reads what Linux 6.18 has said of systemd-socket-proxyd 257.
func TestIdleTime(t *testing.T) {
	const (
		command = "/usr/lib/systemd/systemd-socket-proxyd\x00--exit-idle-time=3600s\x00--connections-max=1024\x00127.0.0.1:80\x00"
		socket  = "pos:\t0\nflags:\t02004002\nmnt_id:\t10\nino:\t46029999\n"
		counts  = "pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t1074\nclockid: 1\nticks: 0\nsettime flags: 01\nit_value: (3595, 500000000)\nit_interval: (0, 0)\n"
		stands  = "pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t1074\nclockid: 1\nticks: 0\nsettime flags: 01\nit_value: (0, 0)\nit_interval: (0, 0)\n"
		later   = "clockid: 1\nit_value: (3600, 200000000)\n" // timers of systemd may be late
	)
	for name, c := range map[string]struct {
		proc  string
		want  time.Duration
		known bool
	}{
		"idle":             {proc(t, command, socket, counts), 4500 * time.Millisecond, true},
		"in use":           {proc(t, command, socket, stands), 0, true},
		"just idle":        {proc(t, command, later), 0, true},
		"before a request": {proc(t, command, socket), 0, false},
		"never sleeps":     {proc(t, "/usr/lib/systemd/systemd-socket-proxyd\x00127.0.0.1:80\x00", socket, counts), 0, false},
		"gone":             {filepath.Join(t.TempDir(), "1"), 0, false},
	} {
		if got, known, err := idleTime(c.proc); err != nil || got != c.want || known != c.known {
			t.Errorf("%s: %s, %v, %v, want %s, %v", name, got, known, err, c.want, c.known)
		}
	}
}
