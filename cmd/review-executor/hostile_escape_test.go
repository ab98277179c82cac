package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHostile_RootInAJobIsNobody tries, as root in a job's container and in its
// helper, what only root on the host may.
func TestHostile_RootInAJobIsNobody(t *testing.T) {
	j := newDriverJob(t).prepared()
	for name, attempt := range map[string]struct{ script, refused string }{
		"mount":                  {"mount -t tmpfs none /mnt", "permission denied"},
		"mount the host's disk":  {"mknod /tmp/disk b 8 0 && mount /tmp/disk /mnt", "Operation not permitted"},
		"a device":               {"mknod /tmp/mem c 1 1", "Operation not permitted"},
		"unmask /proc":           {"umount /proc/keys", "must be superuser|permission denied|not permitted"},
		"a read-write /sys":      {"mount -o remount,rw /sys", "permission denied"},
		"a namespace as root":    {"unshare -Ur id", "Operation not permitted"},
		"a mount namespace":      {"unshare -m id", "Operation not permitted"},
		"the first namespaces":   {"nsenter -t 1 -n id", "Operation not permitted"},
		"chroot":                 {"mkdir -p /tmp/root; chroot /tmp/root /bin/true", "Operation not permitted"},
		"write /sys":             {"echo /builds/evil >/sys/kernel/uevent_helper", "Read-only file system"},
		"write /proc/sys":        {"echo '|/builds/evil' >/proc/sys/kernel/core_pattern", "Read-only file system"},
		"sysrq":                  {"echo h >/proc/sysrq-trigger", "Read-only file system|No such file|Permission denied"},
		"the kernel's memory":    {"head -c 1 /proc/kcore | grep -q .", ""},
		"the kernel's log":       {"dmesg", "not permitted"},
		"the host's name":        {"hostname evil", "must be root"},
		"the clock":              {"date -s 2000-01-01", "not permitted"},
		"raw sockets":            {`python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'`, "Operation not permitted"},
		"packet sockets":         {`python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'`, "Operation not permitted"},
		"kernel modules":         {`python3 -c 'import ctypes, os; l = ctypes.CDLL(None, use_errno=True); r = l.syscall(313, 0, b"", 0); print(os.strerror(ctypes.get_errno())); exit(r == -1)'`, "not permitted"},
		"ptrace of the first":    {`python3 -c 'import ctypes, os; l = ctypes.CDLL(None, use_errno=True); r = l.syscall(321, 0, 0, 0); print(os.strerror(ctypes.get_errno())); exit(r == -1)'`, "not permitted"}, // bpf
		"handles of files":       {`python3 -c 'import ctypes, os; l = ctypes.CDLL(None, use_errno=True); r = l.syscall(304, -100, 0, 0); print(os.strerror(ctypes.get_errno())); exit(r == -1)'`, "not permitted"},
		"a setuid program":       {`cp /usr/bin/id /tmp/id; chmod 4755 /tmp/id; test "$(setpriv --reuid 1000 --clear-groups /tmp/id -u)" = 0`, ""},
		"more priority":          {"nice -n -20 true; exit 1", "Permission denied"},
		"the cgroup's own limit": {`for f in $(find /sys/fs/cgroup -name pids.max -o -name memory.max -o -name memory.limit_in_bytes); do echo 99999999 >$f && exit 0; done; exit 1`, ""},
		"sockets of the host":    {`find / -xdev -type s | grep -v ^/builds | grep .`, ""},
		"the host's processes":   {`tr '\0' ' ' </proc/[0-9]*/cmdline | grep -E 'gitlab-runner|podman|apache'; ls -d /proc/[0-9]* | wc -l | grep -E '^[0-9]{3,}$'`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stage := range []string{"build_script", "get_sources"} {
				got := j.run(stage, "set +e; exec 2>&1; ( "+attempt.script+" )\nif [ $? = 0 ]; then echo got\"\" through; fi").succeeded(t)
				if strings.Contains(got.stdout, "got through") || !regexp.MustCompile(attempt.refused).MatchString(got.stdout) {
					t.Errorf("%s: %s", stage, got.stdout)
				}
			}
		})
	}
}

// status reads what the kernel says of a container's first process.
func status(t *testing.T, container string) (fields map[string]string, firstID int) {
	t.Helper()
	proc := "/proc/" + inspect(t, container, "{{.State.Pid}}")
	text, err := os.ReadFile(proc + "/status")
	if err != nil {
		t.Fatal(err)
	}
	fields = map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	text, err = os.ReadFile(proc + "/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(text)) // lines of: first here, first on the host, how many
	if len(words) < 3 || words[0] != "0" {
		t.Fatalf("%s has the user IDs %q", container, text)
	}
	firstID, err = strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	return fields, firstID
}

// TestHostile_EveryContainerIsIsolated looks from the host at two jobs with a
// service each, and at an app.
func TestHostile_EveryContainerIsIsolated(t *testing.T) {
	p := newProject(t, page("isolated"))
	jobs := newJobs(t, 2)
	p.try("main").succeeded(t)
	app := host.Podman(t, "ps", "--filter", "label=review-executor.app=main", "--format", "{{.Names}}")
	owners := map[int]string{}
	check := func(owner, container string) {
		t.Helper()
		fields, first := status(t, container)
		for key, want := range map[string]string{"CapBnd": "00000000000004fb", "CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
			if fields[key] != want {
				t.Errorf("%s: %s is %s, want %s", container, key, fields[key], want)
			}
		}
		if uid := strconv.Itoa(first); !strings.HasPrefix(fields["Uid"], uid+"\t") {
			t.Errorf("%s: its root is %s on the host, and the first of its IDs %s", container, fields["Uid"], uid)
		}
		if first == os.Getuid() || first == 0 {
			t.Errorf("%s: its root is user %d of the host", container, first)
		}
		// A rootless Podman may have too few for everybody.
		if other, there := owners[first]; there && other != owner && os.Getuid() == 0 {
			t.Errorf("%s and %s have the same user IDs, from %d", owner, other, first)
		}
		owners[first] = owner
		if mode := inspect(t, container, "{{.HostConfig.Privileged}} {{.HostConfig.PidMode}} {{.HostConfig.NetworkMode}} {{.HostConfig.Binds}}"); strings.Contains(mode, "true") || strings.Contains(mode, "host") {
			t.Errorf("%s: %s", container, mode)
		}
	}
	check("the app", app)
	for _, j := range jobs {
		j.response = map[string]any{"services": []map[string]any{{"name": "localhost/review-demo/busybox", "entrypoint": []string{"sleep", "1000"}}}}
		j.prepared()
		for _, container := range []string{j.name(), j.helper(), j.service(0)} {
			check(j.name(), container)
			mounts := inspect(t, container, "{{range .Mounts}}{{.Type}} {{.Name}} {{end}}")
			if want := "volume " + j.name(); strings.TrimSpace(mounts) != want && (mounts != "" || container != j.service(0)) {
				t.Errorf("%s has the mounts %s", container, mounts)
			}
		}
	}
}

// limited is the host's configuration with few processes for a container.
func limited(t *testing.T) string {
	t.Helper()
	if exec.Command("sh", "-c", "test -e /sys/fs/cgroup/cgroup.controllers").Run() != nil && os.Getuid() != 0 {
		t.Skip("below cgroup v1, only root's containers have limits")
	}
	return hostConfig(t, "\n[isolation]\npids = 64\nmemory = \"64MiB\"\n")
}

// bomb makes as many processes as the job may have, and ends without them. None
// of them listens to SIGTERM, and one makes another whenever there is room.
const bomb = `python3 -c '
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
full = False
while not full:
  try:
    if os.fork() == 0:
      os.close(0); os.close(1); os.close(2)
      while True:
        try:
          if os.fork() == 0: time.sleep(1000)
        except OSError:
          time.sleep(0.01)
  except OSError as e:
    print(e, flush=True)
    full = True
'
`

// TestHostile_ForksWithoutEnd lets a job fill its processes, and sees how another
// one does beside it, and the job's own helper.
func TestHostile_ForksWithoutEnd(t *testing.T) {
	jobs := newJobs(t, 2)
	j, other := jobs[0], jobs[1]
	j.config, other.config = limited(t), limited(t)
	j.prepared()
	other.prepared()
	j.run("build_script", bomb).says(t, "Resource temporarily unavailable")
	other.run("build_script", "echo $(seq 20 | wc -l) lines").succeeded(t).says(t, "20 lines")
	j.run("upload_artifacts_on_failure", "echo the helper goes on").succeeded(t).says(t, "the helper goes on")
}

func TestHostile_TakesAllMemory(t *testing.T) {
	j := newDriverJob(t)
	j.config = limited(t)
	j.prepared()
	j.run("build_script", `python3 -c 'b = bytearray(256 << 20); print(len(b))'`).exited(t, buildFailure, "Killed")
	j.run("after_script", "echo after").succeeded(t).says(t, "after")
}

// interrupted starts a script, cancels it as the runner does when it has written
// "begun", and returns when the program has ended.
func (j *driverJob) interrupted(script string) {
	j.t.Helper()
	cmd, begun := j.started(script)
	if begun {
		cmd.interrupt(j.t)
	}
}

type startedRun struct {
	cmd *exec.Cmd
	out *os.File
}

// started starts a build_script and waits until it has written something.
func (j *driverJob) started(script string) (startedRun, bool) {
	j.t.Helper()
	file := j.dir + "/cancelled."
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		j.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		j.t.Fatal(err)
	}
	config := j.config
	if config == "" {
		config = host.Config()
	}
	cmd := exec.Command(program, "--config", config, "run", file, "build_script")
	cmd.Env = append(os.Environ(), j.environ()...)
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	w.Close()
	n, err := r.Read(make([]byte, 100))
	return startedRun{cmd, r}, n > 0 && err == nil
}

func (r startedRun) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute): // the runner would wait for ten
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		t.Error("it does not end on SIGTERM")
	}
	r.out.Close()
}

// TestHostile_IgnoresSIGTERM cancels a script that does not want to end, in
// several processes, one of them in a session of its own.
func TestHostile_IgnoresSIGTERM(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.interrupted("trap '' TERM HUP INT USR1\nsetsid sh -c 'trap \"\" TERM HUP INT; sleep 7654' &\necho begun\nwhile :; do sleep 7654; done\n")
	left := j.run("after_script", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").succeeded(t)
	if strings.Contains(left.stdout, "sleep 7654") {
		t.Errorf("of the cancelled script, there are still %s", left.stdout)
	}
	j.run("upload_artifacts_on_failure", "echo the helper goes on").succeeded(t).says(t, "the helper goes on")
}

func TestHostile_EntrypointHangs(t *testing.T) {
	j := newDriverJob(t)
	j.hasImage("localhost/test/hangs", "FROM localhost/review-demo/busybox\nENTRYPOINT [\"sh\", \"-c\", \"echo begun; trap '' TERM; while :; do sleep 7654; done\"]\n")
	j.prepared()
	j.interrupted("echo the script\n")
	j.run("get_sources", "echo the helper goes on").succeeded(t).says(t, "the helper goes on")
	if processes := host.Podman(t, "top", j.name(), "args"); strings.Contains(processes, "7654") {
		t.Errorf("after the cancel it still runs %s", processes)
	}
}

func TestHostile_KillsEveryProcess(t *testing.T) {
	j := newDriverJob(t).prepared()
	for _, script := range []string{"kill -KILL -1; sleep 1", "kill -USR1 1; sleep 100", "kill -TERM 1; kill -KILL 1; kill -HUP 1"} {
		j.run("build_script", script) // however it ends
		j.run("after_script", fmt.Sprintf("echo after %q", script)).succeeded(t).says(t, "after")
	}
}

func TestHostile_ForksAreKilledByCancel(t *testing.T) {
	j := newDriverJob(t)
	j.config = limited(t)
	j.prepared()
	for range 3 {
		j.interrupted(bomb + "while :; do :; done\n")
		j.run("after_script", "echo $(ls -d /proc/[0-9]* | wc -l) processes").succeeded(t)
	}
}
