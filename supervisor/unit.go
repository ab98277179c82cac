package supervisor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gitlab.com/review-executor/review-executor/review"
)

// mark is the first line of every file that we write. Files without it are
// somebody else's and are left alone.
const mark = "# Written by review-executor. Changes are overwritten."

// proxy is where systemd has it, on Debian and Fedora alike.
const proxy = "/usr/lib/systemd/systemd-socket-proxyd"

// connections is how many an app may have at a time; systemd's own limit is 256.
const connections = 1024

// moreGrace is what a process needs beside the containers that it ends.
const moreGrace = 30 * time.Second

// confined takes from a unit's processes whatever these do not need, as far as the systemd of
// a user who is not root can.
const confined = `NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`

// blind is for a process that only passes bytes on. (ProtectHome=tmpfs would hide the socket, too, on which it says that it is ready.)
const blind = `PrivateUsers=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProcSubset=pid
UMask=0077
`

// base is what the names of a release's units begin with.
func base(app, release string) string { return "review-app-" + app + "-" + release }

// Names of a release's units.
func socketUnit(base string) string    { return base + ".socket" }
func serviceUnit(base string) string   { return base + ".service" }
func containerUnit(base string) string { return base + "-container.service" }

// check refuses what would mean more to systemd than a name or a number.
func check(u review.Unit) error {
	problems := []error{review.CheckLabel(u.App), review.CheckRelease(u.Release)}
	if u.SleepAfter != review.Never && u.SleepAfter < review.SleepAfter(time.Second) {
		problems = append(problems, fmt.Errorf("time until it sleeps: %s", time.Duration(u.SleepAfter)))
	}
	if u.StopGrace < 0 {
		problems = append(problems, fmt.Errorf("grace: %s", u.StopGrace))
	}
	return errors.Join(problems...)
}

// render returns the release's unit files by name, with a socket on that port.
func (s *Systemd) render(u review.Unit, port uint16) (map[string]string, error) {
	form, err := s.form()
	if err := errors.Join(err, check(u)); err != nil {
		return nil, fmt.Errorf("units of %s: %w", review.Printable(u.App, 80), err)
	}
	command, err := s.command()
	if err != nil {
		return nil, err
	}
	files := texts(u, port, command)
	for name, text := range files {
		files[name] = fmt.Sprintf("%s\n# app=%s release=%s\n%s\n\n%s", mark, u.App, u.Release, form, text)
	}
	return files, nil
}

// form is the line that tells of what make a file is: of this version of the program, with
// this path and this configuration.
func (s *Systemd) form() (string, error) {
	command, err := s.command()
	if err != nil {
		return "", err
	}
	all := texts(review.Unit{App: "app", Release: "release", SleepAfter: review.SleepAfter(time.Hour)}, 0, command)
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sum.Write([]byte(all[name]))
	}
	return fmt.Sprintf("# form=%x", sum.Sum(nil)[:6]), nil
}

// texts are the unit files by name, without what is at the head of each.
func texts(u review.Unit, port uint16, command string) map[string]string {
	name := base(u.App, u.Release)
	exit, unneeded := fmt.Sprintf(" --exit-idle-time=%ds", int(time.Duration(u.SleepAfter).Seconds())), "yes"
	if u.SleepAfter == review.Never {
		exit, unneeded = "", "no"
	}
	return map[string]string{
		socketUnit(name): fmt.Sprintf(`[Unit]
Description=Review app %[1]s, release %[2]s: what wakes it
StartLimitIntervalSec=0

[Socket]
ListenStream=127.0.0.1:%[3]d
Backlog=4096
# A request never makes the socket give up, and one that comes just as the release falls
# asleep wakes it again. Should something wake it in vain again and again, it takes its time.
TriggerLimitIntervalSec=0
PollLimitIntervalSec=10s
PollLimitBurst=10

[Install]
WantedBy=sockets.target
`, u.App, u.Release, port),
		serviceUnit(name): fmt.Sprintf(`[Unit]
Description=Review app %[1]s, release %[2]s: its requests
Requires=%[3]s
After=%[3]s
StartLimitIntervalSec=0

[Service]
Type=notify
# Six files for a connection.
LimitNOFILE=8192
# Waking writes where the container is.
EnvironmentFile=%%t/review-executor/%[4]s.env
ExecStart=%[5]s%[6]s --connections-max=%[7]d ${ADDRESS}

%[8]s
[Install]
WantedBy=default.target
`, u.App, u.Release, containerUnit(name), name, proxy, exit, connections, confined+blind),
		containerUnit(name): fmt.Sprintf(`[Unit]
Description=Review app %[1]s, release %[2]s: its containers
# Not after podman.service, which ends when nobody calls it: falling asleep starts it, and it
# would wait for what waits for it.
After=podman.socket
StopWhenUnneeded=%[3]s
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%[4]s wake %[1]s %[2]s
ExecStop=-%[4]s sleep %[1]s %[2]s
ExecStopPost=-/usr/bin/rm -f %%t/review-executor/%[6]s.env
# Requests that wait for a release that does not wake are ended, and do not wake it again: that
# is done before systemd hears that it has not. A timeout is that of falling asleep.
ExecStopPost=-/bin/sh -c 'case $$SERVICE_RESULT in success|timeout) ;; *) exec systemctl --user try-restart %[6]s.socket ;; esac'
# Waking has limits of its own.
TimeoutStartSec=infinity
TimeoutStopSec=%[5]ds

%[7]s`, u.App, u.Release, unneeded, command, int((u.StopGrace + moreGrace).Seconds()), name, confined),
	}
}

// command is how this program is called.
func (s *Systemd) command() (string, error) {
	for _, path := range []string{s.Executable, s.Config, s.UnitDir} {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("%q must be an absolute path", path)
		}
	}
	executable, err := quote(s.Executable)
	if err != nil {
		return "", err
	}
	config, err := quote(s.Config)
	return executable + " --config " + config, err
}

// quote writes one argument of a command as systemd.service(5) and systemd.unit(5)
// read it: a specifier and a variable are neither.
func quote(argument string) (string, error) {
	if argument == "" || strings.ContainsFunc(argument, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", fmt.Errorf("%s cannot be part of a command", review.Printable(argument, 80))
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(argument) + `"`, nil
}

var (
	markedRelease = regexp.MustCompile(`^# app=([a-z0-9-]+) release=([A-Za-z0-9-]+)$`)
	listenStream  = regexp.MustCompile(`(?m)^ListenStream=127\.0\.0\.1:([0-9]{1,5})$`)
)

// parse tells whose a unit file is; ours is false for a file of somebody else's.
func parse(text string) (app, release string, port uint16, ours bool) {
	first, rest, _ := strings.Cut(text, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	found := markedRelease.FindStringSubmatch(second)
	if first != mark || found == nil || review.CheckLabel(found[1]) != nil || review.CheckRelease(found[2]) != nil {
		return "", "", 0, false
	}
	if listens := listenStream.FindStringSubmatch(text); listens != nil {
		if number, err := strconv.ParseUint(listens[1], 10, 16); err == nil {
			port = uint16(number)
		}
	}
	return found[1], found[2], port, true
}

// backend is the address of a port on loopback.
func backend(port uint16) string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()
}

// portOf is the port of such an address, or 0.
func portOf(backend string) uint16 {
	address, err := netip.ParseAddrPort(backend)
	if err != nil || !address.Addr().IsLoopback() {
		return 0
	}
	return address.Port()
}
