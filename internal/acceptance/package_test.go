package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// TestPackage_InstallUpgradeRemovePurge goes the way of docs/packages.md, with the
// commands that are there.
func TestPackage_InstallUpgradeRemovePurge(t *testing.T) {
	h := acceptance.Start(t)
	commands := commandsOf(t, "docs/packages.md")
	h.RunAs(t, acceptance.Runner, notOurs)
	beforeFiles, beforeUnits, beforeObjects := files(t, h), h.Run(t, unitsAndUsers), h.RunAs(t, acceptance.Runner, objects)

	deb(t, h, "0.1")
	h.Run(t, "cd /root/packages && "+commands[0])
	installsWhatItShould(t, h)
	startsNothing(t, h, beforeUnits)

	h.Run(t, settings)
	said := strings.Fields(h.Run(t, commands[1]))
	password := said[len(said)-1]
	h.Run(t, commands[2])
	unitsWork(t, h)
	h.RunAs(t, acceptance.Runner, deploy)
	ask := fmt.Sprintf("curl --silent --fail --user alice:%s --header 'Host: main.review.localhost' http://127.0.0.1/", password)
	if got := h.Run(t, ask); got != "hello\n" {
		t.Errorf("the app serves %q", got)
	}
	syncMends(t, h, ask)

	deb(t, h, "0.2")
	upgradesWithoutAFailedRequest(t, h, commands[0], ask)

	if said := h.Run(t, commands[3]); !strings.Contains(said, "This stays: 1 apps") || !strings.Contains(said, "apt-get purge review-executor") {
		t.Errorf("removing does not say what it leaves:\n%s", said)
	}
	if got := h.Run(t, ask); got != "hello\n" {
		t.Errorf("after removing, Apache serves %q", got)
	}
	if got := h.Run(t, "systemctl list-units --state=active,activating,failed --plain --no-legend 'review-executor*'; ls /usr/bin/review-executor 2>/dev/null || true"); got != "" {
		t.Errorf("after removing there is still\n%s", got)
	}

	purged := func(how string) {
		t.Helper()
		if diff := cmp.Diff(beforeFiles, files(t, h)); diff != "" {
			t.Errorf("purging %s leaves, or takes:\n%s", how, diff)
		}
		if diff := cmp.Diff(beforeUnits, h.Run(t, unitsAndUsers)); diff != "" {
			t.Errorf("purging %s leaves, or takes, of units, users and Apache:\n%s", how, diff)
		}
		if diff := cmp.Diff(beforeObjects, h.RunAs(t, acceptance.Runner, objects)); diff != "" {
			t.Errorf("purging %s leaves, or takes, of the runner's:\n%s", how, diff)
		}
	}
	h.Run(t, commands[4])
	purged("after a removal")
	if got := h.Run(t, "systemctl is-active apache2; "+ask+" | grep -e hello -e '<title>'"); got != "active\n    <title>Apache2 Debian Default Page: It works</title>\n" {
		t.Errorf("after purging, Apache is and serves %q", got)
	}

	// What is not there to be removed, or cannot be, fails no purge.
	h.Run(t, "cd /root/packages && "+commands[0]+"mv /usr/bin/podman /root; systemctl stop apache2; apt-get purge -y review-executor; mv /root/podman /usr/bin; systemctl start apache2")
	purged("what never ran")
}

// commandsOf returns the blocks of commands on a page.
func commandsOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(acceptance.Root(), page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, "set -e\n"+match[1])
	}
	if len(blocks) != 5 {
		t.Fatalf("%s has %d blocks of commands, and this test is about 5", page, len(blocks))
	}
	return blocks
}

// deb makes a package of a version and has it, alone, in /root/packages of the host.
func deb(t *testing.T, h *acceptance.Host, version string) {
	t.Helper()
	pack(t, h, "deb", version)
}

// pack makes a .deb or an .rpm of a version and has it, alone, in /root/packages of the host.
func pack(t *testing.T, h *acceptance.Host, packager, version string) {
	t.Helper()
	out := t.TempDir()
	nfpm := exec.Command("make", "--no-print-directory", "build/nfpm")
	nfpm.Dir = acceptance.Root()
	if out, err := nfpm.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("scripts/package.sh", out, runtime.GOARCH)
	cmd.Dir = acceptance.Root()
	cmd.Env = append(os.Environ(), "VERSION="+version, "PACKAGERS="+packager)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	made, err := filepath.Glob(filepath.Join(out, "*."+packager))
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	data, err := os.ReadFile(made[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Shared, filepath.Base(made[0])), data, 0o644); err != nil {
		t.Fatal(err)
	}
	h.Run(t, "mkdir -p /root/packages && rm -f /root/packages/* && mv /shared/*."+packager+" /root/packages")
}

// files lists everything on the host but for what comes and goes by itself, or with any
// package or configuration of Apache.
func files(t *testing.T, h *acceptance.Host) []string {
	t.Helper()
	list := h.Run(t, `find / -xdev \( -path /proc -o -path /sys -o -path /tmp -o -path /var/tmp -o -path /shared -o -path /root/packages \
		-o -path /home/gitlab-runner/.local -o -path /home/gitlab-runner/.cache -o -path /home/gitlab-runner/.config \
		-o -path /var/log/journal -o -path /var/log/apt -o -path /var/log/apache2 -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
		-o -path /var/lib/systemd -o -path /var/lib/containers -o -path /run/systemd -o -path /run/user -o -path /run/log \) -prune -o -print | grep -vxe /var/log/dpkg.log -e /var/lib/apache2/conf/enabled_by_admin | LC_ALL=C sort`)
	return strings.Split(list, "\n")
}

// unitsAndUsers prints which units of any are enabled, active or failed, and the users.
const unitsAndUsers = `cut -d: -f1 /etc/passwd /etc/group | sort; systemctl list-unit-files --no-legend | grep review || true
	systemctl list-units --all --plain --no-legend 'review*'; apache2ctl -M; ls /etc/apache2/conf-enabled`

func installsWhatItShould(t *testing.T, h *acceptance.Host) {
	t.Helper()
	for path, mode := range map[string]string{
		"/usr/bin/review-executor":                                   "755 root root",
		"/usr/share/man/man1/review-executor-logs.1.gz":              "644 root root",
		"/usr/share/bash-completion/completions/review-executor":     "644 root root",
		"/usr/share/zsh/vendor-completions/_review-executor":         "644 root root",
		"/usr/share/fish/vendor_completions.d/review-executor.fish":  "644 root root",
		"/usr/share/doc/review-executor/copyright":                   "644 root root",
		"/usr/share/doc/review-executor/changelog.Debian.gz":         "644 root root",
		"/usr/share/doc/review-executor/ci-templates/review-app.yml": "644 root root",
		"/etc/review-executor/config.toml":                           "644 root root",
		"/etc/logrotate.d/review-executor":                           "644 root root",
		"/etc/apache2/conf-available/review-executor.conf":           "644 root root",
		"/var/log/review-executor":                                   "2750 root gitlab-runner",
		"/usr/lib/systemd/system/review-executor-sync.timer":         "644 root root",
		"/usr/lib/systemd/system/review-executor-webhook.socket":     "644 root root",
	} {
		if got := strings.TrimSpace(h.Run(t, "stat -c '%a %U %G' "+path)); got != mode {
			t.Errorf("%s is %s, want %s", path, got, mode)
		}
	}
	for from, to := range map[string]string{
		"systemd": "/usr/lib/systemd/system", "polkit": "/usr/share/polkit-1/rules.d",
		"sysusers.d": "/usr/lib/sysusers.d", "tmpfiles.d": "/usr/lib/tmpfiles.d",
	} {
		all, err := filepath.Glob(filepath.Join(acceptance.Root(), "packaging", from, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range all {
			h.Run(t, "test -f "+filepath.Join(to, filepath.Base(file)))
		}
	}
	if got := h.Run(t, "dpkg-query -W -f '${Conffiles}' review-executor | awk '{print $1}' | sort"); got != "/etc/logrotate.d/review-executor\n/etc/review-executor/config.toml\n" {
		t.Errorf("the configuration files are\n%s", got)
	}
	if got := h.Run(t, "review-executor version && review-executor list && man --where review-executor-stop"); !strings.HasPrefix(got, "review-executor 0.1 linux/") || !strings.Contains(got, "No review apps.") {
		t.Errorf("it says\n%s", got)
	}
	h.Run(t, "logrotate --debug /etc/logrotate.conf && systemd-analyze verify /usr/lib/systemd/system/review-executor-*")
	for _, unit := range []string{"sync", "webhook"} {
		h.Run(t, "systemd-analyze security --no-pager --threshold=30 review-executor-"+unit+".service")
	}
}

// startsNothing compares the machine with what it was before the package, but for the
// files of units and users that came with it.
func startsNothing(t *testing.T, h *acceptance.Host, before string) {
	t.Helper()
	if got := h.Run(t, "systemctl list-units --all --plain --no-legend 'review*'; systemctl list-unit-files --no-legend --state=enabled 'review*' || true"); got != "" {
		t.Errorf("installing has started or enabled\n%s", got)
	}
	_, apacheBefore, _ := strings.Cut(before, "Loaded Modules")
	_, apacheNow, _ := strings.Cut(h.Run(t, unitsAndUsers), "Loaded Modules")
	if diff := cmp.Diff(apacheBefore, apacheNow); diff != "" {
		t.Errorf("installing has changed Apache:\n%s", diff)
	}
}

// settings are the administrator's: a domain, and images that this host has.
const settings = `set -e
sed -i 's/review.example.org/review.localhost/' /etc/review-executor/config.toml
cat >>/etc/review-executor/config.toml <<END
[jobs]
image = "localhost/review-demo/debian"
helper_image = "localhost/review-demo/debian"
pull_policy = ["if-not-present"]
[webhook]
secret_file = "/etc/review-executor/webhook-secret"
END
(umask 077; echo a-long-random-secret >/etc/review-executor/webhook-secret)
chown gitlab-runner: /etc/review-executor/webhook-secret`

// unitsWork has sync reach Podman from its sandbox, and the socket start the service.
func unitsWork(t *testing.T, h *acceptance.Host) {
	t.Helper()
	h.Run(t, "systemctl start review-executor-sync.service && test -d /var/lib/review-front/vhosts/www")
	h.Run(t, "systemctl is-enabled review-executor-sync.timer && systemctl is-active review-executor-sync.timer review-executor-webhook.socket")
	const post = "curl --silent --output /dev/null --write-out '%{http_code}' --unix-socket /run/review-executor/webhook.sock -H 'X-Gitlab-Event: Push Hook' -d '{}' http://webhook/gitlab"
	if got := h.Run(t, post); got != "401" {
		t.Errorf("an event without the secret is answered %s, want 401", got)
	}
	if got := h.Run(t, "stat -c '%a %U %G' /run/review-executor/webhook.sock"); got != "660 root www-data\n" {
		t.Errorf("the socket is %s", got)
	}
}

// notOurs are a few things of the runner's user.
const notOurs = `set -e
podman volume create not-ours
podman tag localhost/review-demo/busybox localhost/not-ours
podman create --name not-ours localhost/not-ours true`

// deploy deploys an app with a volume as a job does.
const deploy = `set -e
mkdir shop
cd shop
git init -q -b main
printf 'FROM localhost/review-demo/busybox\nRUN mkdir /www && echo hello >/www/index.html\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD ["httpd","-f","-p","8080","-h","/www"]\n' >Containerfile
git add .
git -c user.name=n -c user.email=n@review.localhost commit -qm first
review-executor try . --variable REVIEW_VOLUMES=/data
cd
rm -rf shop`

// syncMends loses the units of the app, which sync writes anew from its sandbox.
func syncMends(t *testing.T, h *acceptance.Host, ask string) {
	t.Helper()
	h.RunAs(t, acceptance.Runner, "set -e; cd .config/systemd/user; systemctl --user stop 'review-app-*.socket' 'review-app-*'; find . -name 'review-app-*' -delete; systemctl --user daemon-reload")
	if got := h.Try(ask); got.ExitCode == 0 {
		t.Fatalf("without its socket, the app serves %q", got.Stdout)
	}
	h.Run(t, "systemctl start review-executor-sync.service")
	if got := h.Run(t, ask); got != "hello\n" {
		t.Errorf("after sync, the app serves %q", got)
	}
}

// objects lists the runner's containers, volumes, images and unit files.
const objects = `podman ps --all --format '{{.Names}}'; podman volume ls --quiet; podman images --all --format '{{.Repository}}:{{.Tag}}'
podman network ls --quiet | grep -v '^podman$'; find .config/systemd/user -name 'review*'; systemctl --user list-units --plain --no-legend 'review*'`

func upgradesWithoutAFailedRequest(t *testing.T, h *acceptance.Host, install, ask string) {
	t.Helper()
	const state = "systemctl show --property=MainPID,ActiveEnterTimestamp apache2; su --login gitlab-runner --command \"podman inspect --format '{{.Name}} {{.State.Pid}} {{.State.StartedAt}}' \\$(podman ps --quiet)\""
	before := h.Run(t, state)
	h.Run(t, `cat >/root/requests <<'END'
while [ ! -e /root/enough ]; do
`+ask+` --output /dev/null --write-out '%{http_code}\n'
done >/root/answers
END
setsid sh /root/requests >/dev/null 2>&1 &`)
	h.Run(t, "cd /root/packages && "+install)
	answers := h.Run(t, "touch /root/enough; sleep 1; sort /root/answers | uniq -c; rm /root/requests /root/enough /root/answers")
	if !regexp.MustCompile(`^ *\d{2,} 200\n$`).MatchString(answers) {
		t.Errorf("while it was upgraded, requests were answered\n%s", answers)
	}
	if diff := cmp.Diff(before, h.Run(t, state)); diff != "" {
		t.Errorf("upgrading has restarted something:\n%s", diff)
	}
	if got := h.Run(t, "review-executor version; grep domain /etc/review-executor/config.toml"); !strings.HasPrefix(got, "review-executor 0.2 ") || !strings.Contains(got, "review.localhost") {
		t.Errorf("after the upgrade:\n%s", got)
	}
}
