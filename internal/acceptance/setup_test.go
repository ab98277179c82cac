package acceptance_test

import (
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// anyRunner stands for gitlab-runner: it registers as that does, into a file that only root can
// read, and its service reads that and runs.
const anyRunner = `set -e
cat >/usr/bin/gitlab-runner <<'END'
#!/bin/sh
set -e
[ "$1" = register ] || { cat /etc/gitlab-runner/config.toml >/dev/null && exec sleep infinity; }
[ "$CI_SERVER_TOKEN" = glrt-secret ]
mkdir -p -m 0700 /etc/gitlab-runner
umask 077
{
	printf '[[runners]]\n  name = "review-host"\n  token = "%s"\n  executor = "custom"\n  [runners.custom]\n' "$CI_SERVER_TOKEN"
	while [ $# -gt 0 ]; do
		case $1 in
		--custom-*-exec) echo "    $(echo "${1#--custom-}" | tr - _) = \"$2\""; shift ;;
		--custom-*-args) echo "    $(echo "${1#--custom-}" | tr - _) = [\"$2\"]"; shift ;;
		--custom-*-timeout) echo "    $(echo "${1#--custom-}" | tr - _) = $2"; shift ;;
		esac
		shift
	done
} >/etc/gitlab-runner/config.toml
END
chmod 755 /usr/bin/gitlab-runner
printf '[Service]\nExecStart=/usr/bin/gitlab-runner run\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/gitlab-runner.service
systemctl daemon-reload
(umask 077; echo glrt-secret >/root/runner-token)`

// images are those that a host without a registry has, and limits those that a container
// in a container can set.
const images = `cat >>/etc/review-executor/config.toml <<'END'

[jobs]
image = "localhost/review-demo/debian"
helper_image = "localhost/review-demo/debian"
[isolation]
memory = "0"
cpus = 0
pids = 0
[limits]
sleep_after = "3s"
END`

// TestSetup_FromAFreshHostToAnApp goes a new administrator's way: the package, setup, the
// first app, its sleep, a reboot.
func TestSetup_FromAFreshHostToAnApp(t *testing.T) {
	h := acceptance.Start(t)
	deb(t, h, "0.1")
	h.Run(t, "dpkg --install /root/packages/*.deb")
	h.Run(t, anyRunner)
	setup := "review-executor setup --domain review.localhost --user alice --gitlab-url https://gitlab.example.org --runner-token-file /root/runner-token"

	if got := h.TryAs(acceptance.Runner, setup+" --yes"); got.ExitCode == 0 || !strings.Contains(got.Stderr, "only root can set up a host") {
		t.Errorf("setup as the runner's user: %d %s", got.ExitCode, got.Stderr)
	}
	if got := h.Try(setup); got.ExitCode != 2 || !strings.Contains(got.Stderr, "--yes") {
		t.Errorf("nobody can be asked, and setup goes on: %d %s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	before := h.Run(t, "cat /etc/review-executor/config.toml")
	if got := h.Run(t, setup+" --dry-run"); !strings.Contains(got, `domain = "review.localhost"`) || !strings.Contains(got, "loginctl enable-linger gitlab-runner") || strings.Contains(got, "glrt-secret") {
		t.Errorf("dry run:\n%s", got)
	}
	if after := h.Run(t, "cat /etc/review-executor/config.toml"); after != before {
		t.Errorf("a dry run has changed the configuration:\n%s", after)
	}

	h.Run(t, images)
	first := h.Try(setup + " --yes")
	if first.ExitCode != 3 { // there is no token to ask GitLab with, and limits are not enforced here
		t.Fatalf("exit code %d\n%s%s\n%s", first.ExitCode, first.Stdout, first.Stderr, h.Try("journalctl --no-pager --lines 100").Stdout)
	}
	if strings.Contains(first.Stdout+first.Stderr, "glrt-secret") {
		t.Error("it has shown the runner's token")
	}
	password := regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(first.Stdout)
	if password == "" {
		t.Fatalf("it has printed no password\n%s", first.Stdout)
	}
	h.Run(t, "systemctl is-active gitlab-runner review-executor-sync.timer && test gitlab-runner = $(systemctl show --property=User --value gitlab-runner)")
	if again := h.Try(setup + " --yes"); again.ExitCode != 3 || strings.Contains(again.Stdout, "\n+ ") {
		t.Errorf("the second time, with exit code %d, it does\n%s", again.ExitCode, again.Stdout)
	}

	h.RunAs(t, acceptance.Runner, deploy)
	serves := func(when string) {
		t.Helper()
		if got := h.Run(t, "curl --silent --max-time 60 --user alice:"+password+" --header 'Host: main.review.localhost' http://127.0.0.1/"); got != "hello\n" {
			t.Errorf("%s it serves %q", when, got)
		}
	}
	sleeps := "for _ in $(seq 300); do review-executor list | grep --quiet sleeping && exit; sleep 0.2; done; exit 1"
	serves("deployed,")
	h.RunAs(t, acceptance.Runner, sleeps)
	serves("asleep,")
	h.Reboot(t)
	serves("after a reboot,")
	if got := h.Try("review-executor doctor"); got.ExitCode != 3 {
		t.Errorf("after all that, doctor ends with %d\n%s", got.ExitCode, got.Stdout)
	}
	h.RunAs(t, acceptance.Runner, "review-executor stop main")
}
