package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// User is the one that the runner runs as: who owns the state of the apps.
type User struct {
	Name     string
	UID, GID uint32
	Home     string
}

func (u User) isRoot() bool { return u.UID == 0 }

// nobody is of a user that there is not.
const nobody = ^uint32(0)

func (u User) missing() bool { return u.UID == nobody }

// manager is the unit of this user's systemd. "": of none that we need.
func (u User) manager() string {
	if u.isRoot() || u.missing() {
		return ""
	}
	return "user@" + strconv.FormatUint(uint64(u.UID), 10) + ".service"
}

// runtimeDir is where systemd has the sockets of this user.
func (u User) runtimeDir() string { return "/run/user/" + strconv.FormatUint(uint64(u.UID), 10) }

// Command is for root's shell: what this user is to run, in a session of its own. A user who may
// be compromised must not have root's terminal, into which it could type.
func (u User) Command(argv ...string) string {
	if u.isRoot() {
		return command(argv...)
	}
	return command("setsid", "--wait", "runuser", "-u", u.Name, "--") + " " + command(argv...)
}

// Systemctl is for root's shell: systemctl with the systemd of this user.
func (u User) Systemctl(argv ...string) string {
	if u.isRoot() {
		return command(append([]string{"systemctl"}, argv...)...)
	}
	return u.Command(append([]string{"env", "XDG_RUNTIME_DIR=" + u.runtimeDir(), "systemctl", "--user"}, argv...)...)
}

// errOther is of what neither root nor this user itself asks.
var errOther = errors.New("only root or the user itself can ask")

// run runs a command as this user, whether the caller is that user or root, and
// returns what it writes.
func (u User) run(ctx context.Context, argv ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	switch uint32(os.Geteuid()) { //nolint:gosec // an ID of a user
	case u.UID:
	case 0:
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.groups()}}
	default:
		return "", errOther
	}
	if u.missing() {
		return "", errOther
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=" + u.Home, "USER=" + u.Name, "XDG_RUNTIME_DIR=" + u.runtimeDir()}
	return output(cmd)
}

// groups are all that this user is in.
func (u User) groups() []uint32 {
	groups := []uint32{u.GID}
	known, err := lookupGroups(u.UID)
	if err != nil {
		return groups
	}
	for _, text := range known {
		if id, err := strconv.ParseUint(text, 10, 32); err == nil {
			groups = append(groups, uint32(id))
		}
	}
	return groups
}

// may tells whether this user may read ("-r"), write ("-w") or execute ("-x") what is
// at path. known is false if nobody here can tell.
func (u User) may(ctx context.Context, what, path string) (may, known bool) {
	_, err := u.run(ctx, "test", what, path)
	var exit *exec.ExitError
	return err == nil, err == nil || errors.As(err, &exit)
}

// program runs a command as the caller.
func program(ctx context.Context, argv ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return output(cmd)
}

// output is what cmd writes, and in an error what it complains of.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience // for what it has started
	err := cmd.Run()
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, printable(stderr.String()))
	}
	return stdout.String(), err
}

// lookupUser finds a user by name.
func lookupUser(name string) (User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return User{}, err
	}
	return userOf(u)
}

func userOf(u *user.User) (User, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return User{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return User{Name: u.Username, UID: uint32(uid), GID: uint32(gid), Home: u.HomeDir}, err
}

// Owner is the user that the runner runs as: who owns the state of the apps; before there
// is any, gitlab-runner, who may be missing.
func Owner(stateDir string) User {
	if info, err := os.Stat(stateDir); err == nil {
		id := strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Uid), 10)
		if u, err := user.LookupId(id); err == nil && (u.Uid != "0" || os.Geteuid() == 0) {
			if found, err := userOf(u); err == nil && (found.UID != 0 || !exists("gitlab-runner")) {
				return found
			}
		}
	}
	if found, err := lookupUser("gitlab-runner"); err == nil {
		return found
	}
	return User{Name: "gitlab-runner", UID: nobody, GID: nobody, Home: runnerHome}
}

func exists(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

// hold starts a process of the user, for others to ask about, and returns its ID and what
// ends it.
func hold(ctx context.Context, u User) (pid int, end func(), err error) {
	cmd := exec.CommandContext(ctx, "sleep", "60")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID}}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, func() { _, _ = cmd.Process.Kill(), cmd.Wait() }, nil
}

// Socket is where systemd has Podman's socket for this user.
func (u User) Socket() string {
	if u.isRoot() {
		return "unix:///run/podman/podman.sock"
	}
	return "unix://" + u.runtimeDir() + "/podman/podman.sock"
}
