package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Engine is what Podman tells of itself.
type Engine struct {
	Version          string
	Rootless         bool
	CgroupVersion    string // v1 or v2
	Controllers      []string
	Network          string // netavark or cni
	NetworkVersion   string // "netavark 1.14.0"
	DNSVersion       string
	Driver           string // of its store
	MountProgram     string // of its store; "": the kernel's own overlay
	Store            string // directory
	NetworkOfOneself string // pasta or slirp4netns: for a container that needs no other
}

// Podman checks Podman, as far as it can be reached.
type Podman struct {
	Host
	Socket string // its address
	// About asks Podman for what it tells of itself. It is called by several checks at the
	// same time.
	About func(context.Context) (Engine, error)
	// Has tells whether an image is in the local store.
	Has    func(ctx context.Context, image string) (bool, error)
	Helper string          // the image for git, cache and artifacts
	Limits map[string]bool // by controller: those that are set
}

// socketFile is the file of the socket's address, or "" for one of another host.
func (p Podman) socketFile() string {
	file, local := strings.CutPrefix(p.Socket, "unix://")
	if !local {
		return ""
	}
	return file
}

// silent is for a check that has nobody to ask; the check "podman" says why.
func silent() []Finding { return skip("Podman does not answer") }

// SocketAnswers checks that Podman answers at its socket.
func (p Podman) SocketAnswers(ctx context.Context) []Finding {
	about, err := p.About(ctx)
	if err == nil {
		return ok("Podman %s answers at %s", about.Version, p.Socket)
	}
	seen := fmt.Sprintf("Podman does not answer at %s: %v", p.Socket, cause(err))
	if _, err := exec.LookPath("podman"); err != nil && p.socketFile() != "" {
		return fail("Podman is not installed", "apt-get install --yes podman uidmap passt netavark aardvark-dns fuse-overlayfs crun")
	}
	if p.Socket != p.User.Socket() {
		return fail(seen) // another's; who has made it knows how
	}
	mend := p.socketAnew()
	if !p.User.isRoot() {
		if _, err := os.Stat(p.User.runtimeDir()); err != nil {
			mend = append([]string{command("loginctl", "enable-linger", p.User.Name), command("systemctl", "start", "user@"+strconv.FormatUint(uint64(p.User.UID), 10)+".service")}, mend...)
		}
	}
	return fail(seen, mend...)
}

// socketAnew is for root's shell. A socket whose file is lost, or that was masked, is still
// active, and cannot be started anew before the service has stopped.
func (p Podman) socketAnew() []string {
	return []string{p.User.Systemctl("stop", "podman.service"), p.User.Systemctl("enable", "podman.socket"), p.User.Systemctl("restart", "podman.socket")}
}

// SocketEnabled checks that Podman's socket comes back after a reboot.
func (p Podman) SocketEnabled(ctx context.Context) []Finding {
	if p.Socket != p.User.Socket() {
		return skip("%s is not systemd's", p.Socket)
	}
	state, err := p.systemctl(ctx, "is-enabled", "podman.socket")
	switch state {
	case "enabled", "enabled-runtime", "static", "linked", "alias":
		return ok("podman.socket is %s", state)
	case "masked":
		return fail("podman.socket is masked", append([]string{p.User.Systemctl("unmask", "podman.socket")}, p.socketAnew()...)...)
	case "disabled", "not-found":
		return fail("podman.socket is "+state+": after a reboot nothing is there", p.User.Systemctl("enable", "--now", "podman.socket"))
	}
	return skip("the systemd of %s does not say: %v", p.User.Name, err)
}

// systemctl asks the systemd of the runner's user.
func (h Host) systemctl(ctx context.Context, argv ...string) (string, error) {
	words := []string{"systemctl"}
	if !h.User.isRoot() {
		words = append(words, "--user")
	}
	stdout, err := h.User.run(ctx, append(words, argv...)...)
	return strings.TrimSpace(stdout), err
}

// Version checks that Podman defends what this program promises.
func (p Podman) Version(ctx context.Context) []Finding {
	about, err := p.About(ctx)
	if err != nil {
		return silent()
	}
	major, _ := strconv.Atoi(strings.Split(about.Version, ".")[0])
	if major < 5 {
		return warn(fmt.Sprintf("Podman is %s: before 5, a container can reach those of other projects (docs/security.md)", about.Version),
			"# upgrade this host to Debian 13, which has Podman 5")
	}
	return ok("%s", about.Version)
}

// Network checks what containers reach each other by.
func (p Podman) Network(ctx context.Context) []Finding {
	about, err := p.About(ctx)
	if err != nil {
		return silent()
	}
	conf := p.home(".config/containers/containers.conf", "/etc/containers/containers.conf")
	switch {
	case about.Network != "netavark":
		return fail(fmt.Sprintf("the network backend is %s, which does not keep networks apart", about.Network),
			"apt-get install --yes netavark aardvark-dns", p.write(conf, `[network]\nnetwork_backend = "netavark"\n`), p.User.Systemctl("stop", "podman.service"))
	case about.NetworkVersion == "":
		return fail("netavark is not installed: no container with companions starts", "apt-get install --yes netavark")
	case about.DNSVersion == "":
		return fail("aardvark-dns is not installed: no app finds its companions by name", "apt-get install --yes aardvark-dns")
	case p.rootless(about) && about.NetworkOfOneself == "":
		return fail("neither pasta nor slirp4netns is installed: without root, no container has a network", "apt-get install --yes passt")
	}
	return ok("%s, %s", about.NetworkVersion, about.DNSVersion)
}

func (p Podman) rootless(about Engine) bool { return about.Rootless && !p.User.isRoot() }

// home is where Podman has a file of configuration: the user's, or the host's for root.
func (p Podman) home(users, roots string) string {
	if p.User.isRoot() {
		return roots
	}
	return filepath.Join(p.User.Home, users)
}

// write is for root's shell: it appends the text, in printf's terms, to a file of the runner's user.
func (p Podman) write(file, text string) string {
	script := "mkdir -p " + Quote(filepath.Dir(file)) + " && printf " + Quote(text) + " >> " + Quote(file)
	return p.User.Command("sh", "-c", script)
}

// Storage checks that giving a container other user IDs does not copy its image.
func (p Podman) Storage(ctx context.Context) []Finding {
	about, err := p.About(ctx)
	if err != nil {
		return silent()
	}
	conf := p.home(".config/containers/storage.conf", "/etc/containers/storage.conf")
	switch {
	case about.Driver != "overlay":
		return fail(fmt.Sprintf("Podman's store is of %s: each container copies its whole image", about.Driver),
			"# another driver begins with an empty store: sync makes the apps anew", p.overlay(conf), p.User.Systemctl("stop", "podman.service"), p.asRunner("sync"))
	case p.rootless(about) && about.MountProgram == "":
		mend := []string{p.overlay(conf), p.User.Systemctl("stop", "podman.service")}
		if _, err := os.Stat("/usr/bin/fuse-overlayfs"); err != nil {
			mend = append([]string{"apt-get install --yes fuse-overlayfs"}, mend...)
		}
		return warn("without fuse-overlayfs, each container with user IDs of its own copies its whole image", mend...)
	case about.MountProgram != "":
		return p.fuse(ctx, about)
	}
	return ok("overlay in %s", about.Store)
}

// overlay is for root's shell: it adds fuse-overlayfs to storage.conf, which may have some of
// the tables already.
func (p Podman) overlay(conf string) string {
	const table, line = "[storage.options.overlay]", `mount_program = "/usr/bin/fuse-overlayfs"`
	text, _ := p.read(conf) // it may not be there
	switch {
	case slices.Contains(strings.Split(string(text), "\n"), line):
		return "true # " + conf + " has it, and Podman that runs was started before"
	case strings.Contains(string(text), table):
		return p.User.Command("sed", "-i", `/^\[storage.options.overlay\]/a `+line, conf)
	case strings.Contains(string(text), "[storage]"):
		return p.write(conf, table+`\n`+line+`\n`)
	}
	return p.write(conf, `[storage]\ndriver = "overlay"\n`+table+`\n`+line+`\n`)
}

// fuse checks what fuse-overlayfs needs.
func (p Podman) fuse(ctx context.Context, about Engine) []Finding {
	if _, err := os.Stat(about.MountProgram); err != nil {
		return fail(about.MountProgram+" is not installed, though the store needs it: no container starts", "apt-get install --yes fuse-overlayfs")
	}
	if may, known := p.User.may(ctx, "-w", "/dev/fuse"); known && !may {
		return fail(p.User.Name+" may not use /dev/fuse: no container starts", "modprobe fuse || true", "chmod 666 /dev/fuse")
	}
	return ok("overlay with %s in %s", filepath.Base(about.MountProgram), about.Store)
}

// Cgroups checks that limits of memory, processors and processes are enforced.
func (p Podman) Cgroups(ctx context.Context) []Finding {
	about, err := p.About(ctx)
	if err != nil {
		return silent()
	}
	var missing []string
	for _, name := range []string{"cpu", "memory", "pids"} {
		if p.Limits[name] && !slices.Contains(about.Controllers, name) && (about.Rootless || about.CgroupVersion == "v2") {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return ok("%s, limits are enforced", about.CgroupVersion)
	}
	seen := "nothing limits the " + strings.Join(missing, ", ") + " of a container: one app can take the whole host"
	if about.CgroupVersion != "v2" {
		return warn(seen+"; this host has the cgroups of version 1, where only root can set limits",
			`# boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_no_v1`)
	}
	uid := strconv.FormatUint(uint64(p.User.UID), 10)
	found := fail(seen,
		`mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\nDelegate=cpu memory pids\n' > /etc/systemd/system/user@.service.d/zz-review-executor.conf`,
		"systemctl daemon-reload && systemctl restart user@"+uid+".service",
		p.asRunner("sync"))
	if hasRecords(p.StateDir) { // with its systemd, all that runs of the user ends
		return byHand(found)
	}
	return found
}

// HelperImage checks that jobs need not wait for it.
func (p Podman) HelperImage(ctx context.Context) []Finding {
	if strings.Contains(p.Helper, "{version}") {
		return skip("%s is named after the version of the runner that calls", p.Helper)
	}
	has, err := p.Has(ctx, p.Helper)
	switch {
	case err != nil:
		if _, err := p.About(ctx); err != nil {
			return silent()
		}
		return fail(err.Error())
	case !has:
		return warn(p.Helper+" is not on this host: the next job pulls it", p.User.Command("podman", "pull", p.Helper))
	}
	return ok("%s", p.Helper)
}

// cause is the innermost error, which says it best.
func cause(err error) error {
	for {
		next, is := err.(interface{ Unwrap() error })
		if !is || next.Unwrap() == nil {
			return err
		}
		err = next.Unwrap()
	}
}
