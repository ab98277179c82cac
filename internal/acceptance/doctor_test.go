package acceptance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// finding is a line of doctor.
type finding struct {
	Check string
	Level string
	Seen  string
	Mend  []string
}

func (f finding) well() bool { return f.Level == "ok" || f.Level == "skip" }

// stays tells whether it is of what nothing mends on the test's host: it has no GitLab, and its
// front is not a unit's.
func (f finding) stays() bool {
	return f.Level == "warn" && (f.Check == "gitlab" && strings.Contains(f.Seen, "is not asked") || f.Check == "vhost-dir" && len(f.Mend) == 0)
}

// doctor runs doctor as root and returns what is wrong.
func doctor(t *testing.T, h *acceptance.Host, before string) []finding {
	t.Helper()
	got := h.Try("exec 3>&1 >/dev/null; set -e\n" + before + "\nexec review-executor doctor --output json >&3")
	var all []finding
	if err := json.Unmarshal([]byte(got.Stdout), &all); err != nil {
		t.Fatalf("%s\nexit code %d, %v\n%s%s", before, got.ExitCode, err, got.Stdout, got.Stderr)
	}
	code := 0
	var wrong []finding
	for _, f := range all {
		switch {
		case f.Level == "fail":
			code = 1
		case f.Level == "warn" && code == 0:
			code = 3
		}
		if !f.well() && !f.stays() {
			wrong = append(wrong, f)
		}
	}
	if got.ExitCode != code {
		t.Errorf("exit code %d, want %d\n%s", got.ExitCode, code, got.Stderr)
	}
	return wrong
}

// commands are those that mend what is wrong.
func commands(wrong []finding) string {
	var lines []string
	for _, f := range wrong {
		for _, line := range f.Mend {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// mended runs what doctor has printed, and what it then prints, until all is well.
func mended(t *testing.T, h *acceptance.Host, wrong []finding) {
	t.Helper()
	for range 4 {
		// What one command needs, another further below may have to mend first.
		if wrong = doctor(t, h, "set +e\n"+commands(wrong)); len(wrong) == 0 {
			return
		}
	}
	again := h.Try("set -x; cd /\n" + commands(wrong))
	t.Fatalf("not mended: %+v\n%s%s", wrong, again.Stdout, again.Stderr)
}

// bare is what the machine has before doctor is asked: a configuration, a runner whose
// administrator has filled in nothing of ours, and units that the package brings.
const bare = `
mkdir -p /etc/review-executor /etc/gitlab-runner
cat > /etc/review-executor/config.toml <<'END'
domain = "review.localhost"

[jobs]
image = "localhost/review-demo/debian"
helper_image = "localhost/review-demo/debian"
pull_policy = ["if-not-present"]

[isolation]
memory = "0"
cpus = 0
pids = 0

[webhook]
secret_file = "/etc/review-executor/webhook-secret"
END
echo a-secret-of-the-test > /etc/review-executor/webhook-secret
cat > /etc/gitlab-runner/config.toml <<'END'
concurrent = 4 # an administrator's

[[runners]]
  name = "review"
  executor = "custom"
END
cat > /etc/systemd/system/gitlab-runner.service <<'END'
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
cat > /etc/systemd/system/review-executor-webhook.socket <<'END'
[Socket]
ListenStream=/run/review-executor/webhook.sock
[Install]
WantedBy=sockets.target
END
cat > /etc/systemd/system/review-executor-webhook.service <<'END'
[Service]
User=gitlab-runner
ExecStart=/usr/bin/review-executor serve
END
systemctl daemon-reload
`

// site is a project of the runner's user.
const site = `
mkdir site && cd site
printf 'FROM localhost/review-demo/busybox\nRUN mkdir /www && echo hello > /www/index.html\nEXPOSE 8000\nCMD ["httpd", "-f", "-p", "8000", "-h", "/www"]\n' > Containerfile
git init -q -b main && git add . && git -c user.name=t -c user.email=t@example.org commit -qm one
review-executor try . >&2
`

// user runs a command in the systemd of the runner's user.
const user = "runuser -u gitlab-runner -- env XDG_RUNTIME_DIR=/run/user/$(id -u gitlab-runner) "

// TestDoctor_MendsABareMachine runs nothing but what doctor prints, from Debian with its
// packages to an app that is served; then it breaks the host in many ways, each of which
// doctor names and mends by what it prints.
func TestDoctor_MendsABareMachine(t *testing.T) {
	h := acceptance.Start(t)
	h.Program(t)
	if wrong := doctor(t, h, "true"); len(wrong) == 0 || wrong[0].Check != "configuration" {
		t.Errorf("without a configuration: %+v", wrong)
	}
	mended(t, h, doctor(t, h, bare))
	h.RunAs(t, acceptance.Runner, site)
	mended(t, h, nil)
	if got := h.TryAs(acceptance.Runner, "review-executor doctor"); got.ExitCode != 3 || strings.Contains(got.Stdout, "FAIL") || strings.Contains(got.Stdout, "a-secret-of-the-test") {
		t.Errorf("as the runner's user, exit code %d:\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	breakAndMend(t, h, brokenHosts)
	if got := h.Run(t, "head -1 /etc/gitlab-runner/config.toml; curl --silent -o /dev/null -w '%{http_code}' -H 'Host: main.review.localhost' http://127.0.0.1/"); got != "concurrent = 4 # an administrator's\n401" {
		t.Errorf("in the end: %q", got)
	}
}

// breakAndMend breaks a host that is well, in one way after the other. Doctor must name what is
// wrong, and the commands that it prints there must mend it.
func breakAndMend(t *testing.T, h *acceptance.Host, hosts []brokenHost) {
	for _, broken := range hosts {
		t.Run(broken.name, func(t *testing.T) { broken.mend(t, h, "") })
	}
}

// mend breaks the host and mends it. hand is what the commands leave to somebody.
func (broken brokenHost) mend(t *testing.T, h *acceptance.Host, hand string) {
	wrong := doctor(t, h, broken.by)
	i := slices.IndexFunc(wrong, func(f finding) bool { return f.Check == broken.check && strings.Contains(f.Seen, broken.seen) })
	if i < 0 {
		t.Errorf("doctor does not name %q in %q: %+v", broken.seen, broken.check, wrong)
		mended(t, h, wrong)
		return
	}
	after := doctor(t, h, byHand(hand, wrong[i])+commands(wrong[i:i+1]))
	if slices.ContainsFunc(after, func(f finding) bool { return f.Check == broken.check && f.Seen == wrong[i].Seen }) {
		t.Errorf("not mended by\n%s\n%+v", commands(wrong[i:i+1]), after)
	}
	if len(after) > 0 { // such as the apps, which have ended with what was broken
		mended(t, h, after)
	}
}

// byHand is what somebody does whom a comment among the commands tells to. THEN is the command
// that the comment has.
func byHand(hand string, f finding) string {
	if hand == "" {
		return ""
	}
	for _, line := range f.Mend {
		if _, then, found := strings.Cut(line, "then: "); found && strings.HasPrefix(line, "#") {
			hand = strings.ReplaceAll(hand, "THEN", then)
		}
	}
	return "set +e\n" + hand + "\n"
}

type brokenHost struct{ name, by, check, seen string }

const runnerToml = "/etc/gitlab-runner/config.toml"

var brokenHosts = []brokenHost{
	{"configuration is root's alone", "chmod 600 /etc/review-executor/config.toml", "configuration", "gitlab-runner may not read"},
	{"configuration is everybody's", "chmod 666 /etc/review-executor/config.toml", "configuration", "may change"},
	{"state is root's", "chown root /var/lib/review-executor", "state", "belongs to root"},
	{"a record is root's", "chown root /var/lib/review-executor/apps/main.json", "state", "main.json is not gitlab-runner's"},
	{"no linger", "loginctl disable-linger gitlab-runner", "linger", "ends with its last login"},
	{"no subuids", "sed -i /gitlab-runner/d /etc/subuid", "subuids", "has 0 subordinate user IDs"},
	{"few subgids", "echo gitlab-runner:100000:65536 > /etc/subgid", "subgids", "enough for 1 jobs"},
	{"Podman's socket is down", user + "systemctl --user stop podman.socket podman.service", "podman", "does not answer"},
	{"Podman's socket is lost", "rm /run/user/$(id -u gitlab-runner)/podman/podman.sock", "podman", "does not answer"},
	{"Podman's socket is disabled", user + "systemctl --user disable podman.socket", "podman-socket", "disabled"},
	{"Podman's socket is masked", user + "systemctl --user mask podman.socket", "podman-socket", "masked"},
	{"no fuse-overlayfs", "rm /home/gitlab-runner/.config/containers/storage.conf; " + user + "systemctl --user stop podman.service", "storage", "without fuse-overlayfs"},
	{"no /dev/fuse", "chmod 600 /dev/fuse", "storage", "/dev/fuse"},
	{"Apache is down", "systemctl stop apache2", "apache-running", "does not run"},
	{"Apache is disabled", "systemctl disable apache2", "apache-running", "not after a reboot"},
	{"Apache is masked", "systemctl mask --now apache2", "apache-running", "masked"},
	{"modules are missing", "a2dismod -qf proxy_http remoteip; sed -i '/LoadModule \\(proxy_http\\|remoteip\\)/d' /etc/apache2/conf-available/review-executor.conf", "apache-modules", "proxy_http, remoteip"},
	{"a process for each connection", "a2dismod -qf mpm_event && a2enmod -q mpm_prefork && systemctl restart apache2", "apache-modules", "mpm_prefork"},
	{"no include", "a2disconf -q review-executor && systemctl reload apache2", "apache-include", "no app is served"},
	{"somebody's mistake", "echo 'Nonsense On' > /etc/apache2/conf-available/nonsense.conf && a2enconf -q nonsense", "apache-config", "Nonsense"},
	{"no right to reload", "rm /etc/polkit-1/rules.d/50-review-executor-front.rules && systemctl restart polkit", "apache-reload", "polkit does not let gitlab-runner reload apache2.service"},
	{"no virtual hosts", "rm -r /var/lib/review-executor/vhosts && systemctl reload apache2", "vhost-dir", "there is no"},
	{"virtual hosts are everybody's", "chmod 777 /var/lib/review-executor/vhosts", "vhost-dir", "mode 0777"},
	{"virtual hosts are root's", "chown -R root: /var/lib/review-executor/vhosts", "vhost-dir", "belongs to root"},
	{"no users", "rm /etc/review-executor/htpasswd", "logins", "there is no /etc/review-executor/htpasswd"},
	{"a file without users", ": > /etc/review-executor/htpasswd", "logins", "has no user"},
	{"users that Apache cannot read", "chown root:root /etc/review-executor/htpasswd && chmod 600 /etc/review-executor/htpasswd", "logins", "may not read"},
	{"a password that is no hash", "echo 'bob:secret' >> /etc/review-executor/htpasswd", "logins", "bob cannot log in"},
	{"a secret that all can read", "chmod 644 /etc/review-executor/webhook-secret", "secrets", "may read"},
	{"a secret of somebody else's", "chown root /etc/review-executor/webhook-secret", "secrets", "which is root's"},
	{"the runner is down", "systemctl stop gitlab-runner", "runner", "inactive"},
	{"the runner is disabled", "systemctl disable gitlab-runner", "runner", "not after a reboot"},
	{"the runner is masked", "mv /etc/systemd/system/gitlab-runner.service /usr/lib/systemd/system/ && systemctl daemon-reload && systemctl mask --now gitlab-runner", "runner", "masked"},
	{"the runner runs as root", "rm -r /etc/systemd/system/gitlab-runner.service.d && systemctl daemon-reload && systemctl restart gitlab-runner", "runner", "runs as root"},
	{"the runner cannot read its configuration", "chgrp -R root /etc/gitlab-runner && chmod 700 /etc/gitlab-runner && chmod 600 " + runnerToml, "runner-config", "gitlab-runner may not read"},
	{"a stage is missing", "sed -i /cleanup_exec/d " + runnerToml, "runner-config", "cleanup_exec is missing"},
	{"a stage calls another program", "sed -i 's|prepare_exec.*|prepare_exec = \"/bin/true\"|' " + runnerToml, "runner-config", "prepare_exec is /bin/true"},
	{"a stage calls what is not there", "sed -i 's|config_exec.*|config_exec = \"/opt/review-executor\"|' " + runnerToml, "runner-config", "cannot be run"},
	{"a stage is called another", "sed -i 's|run_args.*|run_args = [\"cleanup\"]|' " + runnerToml, "runner-config", "run_args must end in"},
	{"no patience for a cancelled job", "sed -i 's|graceful_kill_timeout.*|graceful_kill_timeout = 10|' " + runnerToml, "runner-config", "graceful_kill_timeout is 10"},
	{"the timer is off", "systemctl disable --now review-executor-sync.timer", "sync", "inactive"},
	{"there is no timer", "systemctl disable --now review-executor-sync.timer; rm /etc/systemd/system/review-executor-sync.*; systemctl daemon-reload", "sync", "there is no review-executor-sync.timer"},
	{"the socket of webhooks is down", "systemctl stop review-executor-webhook.socket", "webhooks", "inactive"},
	{"a sync has failed", "mkdir -p /run/systemd/system/review-executor-sync.service.d && printf '[Service]\\nExecStartPre=/usr/bin/test ! -e /run/broken\\n' > /run/systemd/system/review-executor-sync.service.d/x.conf && systemctl daemon-reload && touch /run/broken; systemctl start review-executor-sync || rm /run/broken", "units", "review-executor-sync.service has failed"},
	{"an app is down", user + "podman stop --time 0 $(" + user + "podman ps -q --filter label=review-executor.role=app)", "apps", "does not run"},
	{"an app has no virtual host", "rm /var/lib/review-executor/vhosts/app-main.conf && systemctl reload apache2", "apps", "main"},
	{"what no record owns", user + "podman volume create --label review-executor.app=ghost --label review-executor.role=app ghost", "orphans", "volume ghost"},
	{"a damaged record", "echo '{' > /var/lib/review-executor/apps/ghost.json && chown gitlab-runner /var/lib/review-executor/apps/ghost.json", "records", "ghost"},
}
