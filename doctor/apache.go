package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// available is what a2enconf has of us.
const available = "/etc/apache2/conf-available/review-executor.conf"

// Apache checks the web server.
type Apache struct {
	Host
	VhostDir   string
	FrontUnit  string // that writes there; "": the runner's user does
	Listen     string // where it should answer, as seen from this host: 127.0.0.1:443
	Configtest []string
	Reload     []string // nil: systemd
	Modules    []string // that the virtual hosts need
	AccessLog  string   // of the apps' requests; "": none
}

// binary is Apache's program.
func (a Apache) binary() string {
	for _, name := range []string{"/usr/sbin/apache2", "/usr/sbin/httpd"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return ""
}

// debians tells whether it is the Apache of Debian's package, and no other beside it.
func (a Apache) debians() bool { return a.file() == debiansFile }

const debiansFile = "/etc/apache2/apache2.conf"

// file is where Apache's configuration begins.
func (a Apache) file() string {
	for i, word := range a.Configtest {
		if word == "-f" && i+1 < len(a.Configtest) {
			return a.Configtest[i+1]
		}
	}
	if len(a.Configtest) > 0 && filepath.Dir(a.Configtest[0]) != "/usr/sbin" {
		return "" // a script of somebody's
	}
	return debiansFile
}

var apacheVersion = regexp.MustCompile(`Apache/(\d+)\.(\d+)\.(\d+)`)

// oldest is the first 2.4 that passes WebSockets on by itself ("upgrade=" of ProxyPass).
const oldest = 47

// Installed checks that there is an Apache, and that it is not too old.
func (a Apache) Installed(ctx context.Context) []Finding {
	httpd := a.binary()
	if httpd == "" {
		return fail("Apache is not installed", "apt-get install --yes apache2")
	}
	text, err := program(ctx, httpd, "-v")
	match := apacheVersion.FindStringSubmatch(text)
	if err != nil || match == nil {
		return fail(fmt.Sprintf("%s does not tell its version: %v", httpd, err), "apt-get install --yes --reinstall apache2-bin")
	}
	patch, _ := strconv.Atoi(match[3])
	if match[1] != "2" || match[2] != "4" || patch < oldest {
		return fail(fmt.Sprintf("it is %s; virtual hosts need 2.4.%d or later", match[0], oldest), "apt-get update && apt-get install --yes apache2")
	}
	return ok("%s", match[0])
}

// Running checks that Apache answers where the virtual hosts are.
func (a Apache) Running(ctx context.Context) []Finding {
	if a.binary() == "" {
		return skip("Apache is not installed")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", a.Listen)
	if err == nil {
		_ = conn.Close()
		return a.enabled(ctx)
	}
	if !a.debians() || !systemd() {
		mend := []string{}
		if len(a.Reload) > 0 {
			mend = append(mend, a.User.Command(a.Reload...))
		}
		return fail(fmt.Sprintf("nobody answers at %s: %v", a.Listen, cause(err)), mend...)
	}
	u, _ := ask(ctx, "apache2.service", "ActiveState", "LoadState") // then it says nothing
	switch {
	case u["LoadState"] == "masked":
		return fail("apache2.service is masked", unmask("apache2.service"), "systemctl enable --now apache2.service")
	case u["ActiveState"] != "active":
		return fail(fmt.Sprintf("Apache does not run (%s)", u["ActiveState"]), "apache2ctl configtest && systemctl restart apache2.service")
	}
	// Debian's ports.conf listens on 443 as soon as there is TLS, and our part on any other port but
	// 80. With two that listen on one, Apache does not start.
	for _, look := range []func(context.Context) []Finding{a.Loaded, a.Included} {
		if found := look(ctx); found[0].Level == Fail {
			return fail(fmt.Sprintf("Apache runs, but nobody answers at %s, which apache.listen names: %s", a.Listen, found[0].Seen), found[0].Mend...)
		}
	}
	seen := fmt.Sprintf("Apache runs, but nobody answers at %s, which apache.listen names: no Listen of its configuration is for it", a.Listen)
	_, port, _ := net.SplitHostPort(a.Listen)
	if port != "80" && port != "443" { // our part is older than what apache.listen says
		return fail(seen, command(a.own("apache-config", "--write", available)...), "apache2ctl configtest && systemctl restart apache2.service")
	}
	return fail(seen,
		"echo 'Listen "+port+"' > /etc/apache2/conf-available/review-executor-listen.conf && a2enconf review-executor-listen && systemctl restart apache2.service")
}

// enabled checks that an Apache that runs will after a reboot.
func (a Apache) enabled(ctx context.Context) []Finding {
	if a.debians() && systemd() {
		if u, err := ask(ctx, "apache2.service", "UnitFileState"); err == nil && u["UnitFileState"] == "disabled" {
			return fail("Apache runs, and will not after a reboot", "systemctl enable apache2.service")
		}
	}
	return ok("somebody answers at %s", a.Listen)
}

// LogDirectory checks that there is a directory for the log of the apps' requests: without it
// Apache does not start.
func (a Apache) LogDirectory(context.Context) []Finding {
	if a.AccessLog == "" {
		return skip("the apps' requests are not logged")
	}
	dir := filepath.Dir(a.AccessLog)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// What is above may bring it, such as the package of Apache.
		return fail(fmt.Sprintf("there is no %s, where apache.access_log is to be: Apache does not start", dir),
			command("test", "-d", dir)+" || "+command("install", "-d", "-o", "root", "-g", a.User.group(), "-m", "2750", dir))
	case err != nil:
		return skip("%v", err)
	case !info.IsDir():
		return fail(dir + ", where apache.access_log is to be, is no directory")
	}
	return ok("%s is there", dir)
}

// builtIn is for modules that Debian's Apache has without LoadModule.
var builtIn = []string{"log_config", "so", "core", "unixd", "version", "watchdog", "http", "logio"}

// Loaded checks that Apache loads the modules that virtual hosts need.
func (a Apache) Loaded(context.Context) []Finding {
	conf, found := a.read()
	if found != nil {
		return found
	}
	var missing []string
	for _, name := range a.Modules {
		if !conf.modules[name] && !slices.Contains(builtIn, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		seen := "Apache does not load " + strings.Join(missing, ", ")
		if a.debians() {
			return fail(seen, "a2enmod "+strings.Join(missing, " ")+" && systemctl restart apache2.service")
		}
		return fail(seen, a.printBase())
	}
	if conf.modules["mpm_prefork"] {
		return warn("Apache has a process for each connection (mpm_prefork): WebSockets soon take them all",
			"a2dismod mpm_prefork && a2enmod mpm_event && systemctl restart apache2.service")
	}
	return ok("all %d", len(a.Modules))
}

// read reads Apache's configuration, or returns what is to be said instead.
func (a Apache) read() (directives, []Finding) {
	switch {
	case a.file() == "":
		return directives{}, skip("what %s reads is not known", strings.Join(a.Configtest, " "))
	case a.binary() == "":
		return directives{}, skip("Apache is not installed")
	}
	conf, err := readApache(a.file())
	if errors.Is(err, fs.ErrPermission) {
		return conf, skip("only root may read %s", a.file())
	}
	if err != nil {
		return conf, fail(fmt.Sprintf("Apache's configuration cannot be read: %v", err))
	}
	return conf, nil
}

// printBase is for root's shell: it prints what Apache needs.
func (a Apache) printBase() string { return command(a.own("apache-config")...) }

// Included checks that Apache reads the virtual hosts.
func (a Apache) Included(context.Context) []Finding {
	conf, found := a.read()
	switch {
	case found != nil:
		return found
	case conf.reads(a.VhostDir):
		return ok("%s reads %s", a.file(), a.VhostDir)
	case !a.debians():
		return fail(fmt.Sprintf("%s does not include %s: no app is served", a.file(), a.VhostDir),
			"printf 'IncludeOptional \"%s/*.conf\"\\n' "+Quote(a.VhostDir)+" >> "+Quote(a.file()))
	}
	mend := []string{"a2enconf review-executor && systemctl reload apache2.service"}
	if there, err := os.ReadFile(available); err != nil || !strings.Contains(string(there), a.VhostDir) {
		mend = append([]string{command(a.own("apache-config", "--write", available)...)}, mend...)
	}
	return fail(fmt.Sprintf("Apache does not include %s: no app is served", a.VhostDir), mend...)
}

// Accepted checks that Apache accepts its configuration.
func (a Apache) Accepted(ctx context.Context) []Finding {
	if len(a.Configtest) == 0 {
		return skip("apache.configtest is empty")
	}
	if a.binary() == "" {
		return skip("Apache is not installed")
	}
	if a.FrontUnit != "" && !a.Root {
		return skip("only root may read all of Apache's configuration")
	}
	var err error
	if a.FrontUnit != "" {
		_, err = program(ctx, a.Configtest...)
	} else {
		_, err = a.User.run(ctx, a.Configtest...)
	}
	if errors.Is(err, errOther) {
		return skip("%v", err)
	}
	var exit *exec.ExitError
	if err == nil {
		return ok("%s", strings.Join(a.Configtest, " "))
	}
	if !errors.As(err, &exit) {
		return fail(err.Error(), command(a.Configtest...))
	}
	if file := blamed(err.Error()); a.debians() && strings.HasPrefix(file, "/etc/apache2/conf-enabled/") {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		found := fail("no deploy can be published, because Apache refuses "+err.Error(), "a2disconf "+Quote(name), command(a.Configtest...))
		if !strings.HasPrefix(name, "review-executor") { // it is somebody's
			return byHand(found)
		}
		return found
	}
	return fail("no deploy can be published, because Apache refuses its configuration: "+err.Error(), command(a.Configtest...))
}

var blame = regexp.MustCompile(`on line \d+ of (\S+?):`)

// blamed is the file that Apache names as wrong.
func blamed(says string) string {
	if match := blame.FindStringSubmatch(says); match != nil {
		return match[1]
	}
	return ""
}

// Virtual checks the directory of virtual hosts: who writes there has root's power if
// Apache starts as root.
func (a Apache) Virtual(ctx context.Context) []Finding {
	owner := a.User
	if a.FrontUnit != "" {
		u, err := ask(ctx, a.FrontUnit, "User")
		if err != nil || u["User"] == "" {
			return skip("%s is not there to tell whose %s is", a.FrontUnit, a.VhostDir)
		}
		if owner, err = lookupUser(u["User"]); err != nil {
			return fail(err.Error(), "systemd-sysusers")
		}
	}
	info, err := os.Lstat(a.VhostDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no "+a.VhostDir, command("install", "-d", "-o", owner.Name, "-g", owner.group(), "-m", "0755", a.VhostDir), a.applyFront())
	case err != nil:
		return skip("%v", err)
	case !info.IsDir():
		return fail(a.VhostDir+" is no directory", command("rm", a.VhostDir), command("install", "-d", "-o", owner.Name, "-m", "0755", a.VhostDir), a.applyFront())
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	mode := command("chmod", "u=rwx,go-w", a.VhostDir)
	if uid != owner.UID {
		return fail(fmt.Sprintf("%s belongs to %s, and %s writes there", a.VhostDir, userName(uid), owner.Name), command("chown", "-R", owner.Name+":", a.VhostDir), mode)
	}
	if info.Mode().Perm()&0o022 != 0 || info.Mode().Perm()&0o700 != 0o700 {
		return fail(fmt.Sprintf("%s has mode %#o: what others write there, Apache obeys as root", a.VhostDir, info.Mode().Perm()), mode)
	}
	if may, known := a.User.may(ctx, "-w", a.VhostDir); a.FrontUnit != "" && known && may {
		return fail(fmt.Sprintf("%s may write to %s, which Apache obeys as root", a.User.Name, a.VhostDir), command("setfacl", "--remove-all", a.VhostDir), mode)
	}
	if a.FrontUnit == "" && a.debians() && !owner.isRoot() && a.file() != "" && startsAsRoot() {
		return warn(fmt.Sprintf("%s writes what an Apache that starts as root obeys, so it can become root (docs/security.md)", owner.Name))
	}
	return ok("%s is %s's", a.VhostDir, owner.Name)
}

// startsAsRoot tells whether Debian's Apache is started by the host's systemd.
func startsAsRoot() bool { return systemd() }

// applyFront is for root's shell: it writes all virtual hosts.
func (a Apache) applyFront() string {
	if a.FrontUnit != "" {
		return command("systemctl", "start", a.FrontUnit)
	}
	return a.asRunner("front")
}

// CanReload checks the right to reload Apache, where no unit of the front has it.
func (a Apache) CanReload(ctx context.Context) []Finding {
	switch {
	case a.FrontUnit != "":
		return a.Front(a.FrontUnit, len(a.Reload) == 0)(ctx)
	case len(a.Reload) > 0:
		if may, known := a.User.may(ctx, "-x", a.Reload[0]); known && !may {
			return fail(fmt.Sprintf("%s cannot run %s, which reloads Apache", a.User.Name, a.Reload[0]), command("chmod", "a+rx", a.Reload[0]))
		}
		return ok("%s", strings.Join(a.Reload, " "))
	case !systemd():
		return fail(`apache.reload is "systemd", and there is none`)
	case !a.Root && !a.User.isRoot():
		return skip("only root can ask whether %s may reload apache2.service", a.User.Name)
	}
	return orOK(a.polkit(ctx, a.User, "apache2.service", "reload"), "%s may reload apache2.service", a.User.Name)
}
