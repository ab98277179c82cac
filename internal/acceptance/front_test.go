package acceptance_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

const frontConfig = `domain = "review.localhost"
metrics_file = "/var/lib/review-front/metrics/review.prom"
[apache]
vhost_dir = "/var/lib/review-front/vhosts"
front_unit = "review-executor-front.service"
[jobs]
image = "localhost/review-demo/debian"
helper_image = "localhost/review-demo/debian"
pull_policy = ["if-not-present"]
`

// withFront boots a host that has the program, the front's unit and a user alice.
func withFront(t *testing.T) *acceptance.Host {
	t.Helper()
	h := acceptance.Start(t)
	h.Program(t)
	if out, err := exec.Command("cp", "-r", filepath.Join(acceptance.Root(), "packaging"), h.Shared).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.Run(t, `set -e
		install -m 644 -t /usr/lib/systemd/system /shared/packaging/systemd/review-executor-front.service
		install -m 644 -t /usr/share/polkit-1/rules.d /shared/packaging/polkit/*.rules
		install -m 644 -t /usr/lib/sysusers.d /shared/packaging/sysusers.d/review-executor.conf
		install -m 644 -t /usr/lib/tmpfiles.d /shared/packaging/tmpfiles.d/review-executor.conf
		systemd-sysusers review-executor.conf
		systemd-tmpfiles --create review-executor.conf
		systemctl daemon-reload
		systemctl restart polkit
		loginctl enable-linger gitlab-runner`)
	h.Write(t, "/etc/review-executor/config.toml", frontConfig, "root:root", 0o644)
	h.Run(t, `set -e
		htpasswd -bBc -C 5 /etc/review-executor/htpasswd alice secret
		chown root:www-data /etc/review-executor/htpasswd
		chmod 640 /etc/review-executor/htpasswd
		review-executor apache-config >/etc/apache2/conf-available/review-executor.conf
		a2enconf -q review-executor
		systemctl restart apache2`)
	h.RunAs(t, acceptance.Runner, `set -e
		systemctl --user enable --quiet --now podman.socket
		mkdir shop
		cd shop
		git init -q -b main
		git config user.name n
		git config user.email n@review.localhost
		printf 'FROM localhost/review-demo/busybox\nRUN mkdir /www && echo hello >/www/index.html\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD ["httpd","-f","-p","8080","-h","/www"]\n' >Containerfile
		git add .
		git commit -qm first`)
	return h
}

// get is what alice gets of the host's path: the status, then the page.
func get(t *testing.T, h *acceptance.Host, host, path string) string {
	t.Helper()
	return h.Run(t, fmt.Sprintf("curl --silent --max-time 20 --path-as-is -o /tmp/page -u alice:secret -H 'Host: %s.review.localhost' -w '%%{http_code} ' 'http://127.0.0.1%s'; cat /tmp/page", host, path))
}

// TestHost_FrontIsWrittenByItsUnit deploys and stops as the runner's user, who writes
// nothing that Apache reads.
func TestHost_FrontIsWrittenByItsUnit(t *testing.T) {
	h := withFront(t)
	h.RunAs(t, acceptance.Runner, "cd shop && review-executor try .")
	if got := get(t, h, "main", "/"); got != "200 hello\n" {
		t.Errorf("main serves %q", got)
	}
	owners := func() {
		t.Helper()
		if got := h.Run(t, "find /var/lib/review-front ! -user review-front; find /var/lib/review-executor ! -user gitlab-runner"); got != "" {
			t.Errorf("of somebody else:\n%s", got)
		}
	}
	owners()
	h.Run(t, "grep -q 'review_executor_apps{state=\"live\"} 1' /var/lib/review-front/metrics/review.prom")
	h.Run(t, "grep -q main /var/lib/review-front/vhosts/www/index/apps.json")

	t.Run("root asks the unit too", func(t *testing.T) {
		h.Run(t, "review-executor front")
		owners()
	})
	t.Run("calls that come together share runs", func(t *testing.T) {
		before := runs(t, h)
		const calls = 20
		h.RunAs(t, acceptance.Runner, fmt.Sprintf("seq %d | xargs -P %d -I N review-executor front", calls, calls))
		if after := runs(t, h); after == before || after-before >= calls {
			t.Errorf("%d calls made %d runs", calls, after-before)
		}
	})
	t.Run("exposure", func(t *testing.T) {
		got := h.Try("systemd-analyze security --no-pager review-executor-front.service").Stdout
		level := regexp.MustCompile(`Overall exposure level for [^:]*: ([0-9.]+)`).FindStringSubmatch(got)
		if level == nil {
			t.Fatal(got)
		}
		if n, err := strconv.ParseFloat(level[1], 64); err != nil || n >= 3 {
			t.Errorf("%s\n%s", level[0], got)
		}
	})
	t.Run("keys that only root reads", func(t *testing.T) {
		h.Run(t, `openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=review.localhost -addext subjectAltName=DNS:review.localhost,DNS:*.review.localhost -keyout /etc/ssl/private/review.key -out /etc/ssl/certs/review.pem 2>&1
			chown root:root /etc/ssl/private/review.key
			chmod 600 /etc/ssl/private/review.key`)
		tls := strings.Replace(frontConfig, "[apache]", "[apache]\nlisten = \"*:443\"\ntls_certificate = \"/etc/ssl/certs/review.pem\"\ntls_key = \"/etc/ssl/private/review.key\"", 1)
		h.Write(t, "/etc/review-executor/config.toml", tls, "root:root", 0o644)
		h.Run(t, "review-executor apache-config >/etc/apache2/conf-available/review-executor.conf && systemctl restart apache2 || journalctl -u apache2 | tail >&2")
		h.RunAs(t, acceptance.Runner, "review-executor front")
		page := "curl --silent --show-error -u alice:secret --cacert /etc/ssl/certs/review.pem --resolve main.review.localhost:443:127.0.0.1 https://main.review.localhost/"
		if got := h.Run(t, page); got != "hello\n" {
			t.Errorf("main serves %q", got)
		}
		// Apache would end by a key of another certificate. Who could not read it would not know.
		h.Run(t, "openssl genrsa -out /etc/ssl/private/review.key 2048 2>&1; rm /var/lib/review-front/vhosts/app-main.conf")
		fails(t, h.TryAs(acceptance.Runner, "review-executor front"), "Apache would not start with the certificate and its key", "was not reloaded")
		h.Write(t, "/etc/review-executor/config.toml", frontConfig, "root:root", 0o644)
		h.Run(t, "review-executor apache-config >/etc/apache2/conf-available/review-executor.conf && review-executor front && systemctl restart apache2")
	})
	t.Run("what Apache says reaches the runner", func(t *testing.T) {
		h.Run(t, "echo Nonsense >/etc/apache2/conf-enabled/nonsense.conf; rm /var/lib/review-front/vhosts/zz-unknown.conf")
		fails(t, h.TryAs(acceptance.Runner, "review-executor front"), "Apache refuses its configuration, and not because of this app", "Invalid command 'Nonsense'", "is still serving", "not your branch")
		h.Run(t, "rm /etc/apache2/conf-enabled/nonsense.conf")
		h.RunAs(t, acceptance.Runner, "review-executor front")
	})
	t.Run("a run that cannot tell", func(t *testing.T) {
		h.Run(t, "mkdir -p /run/systemd/system/review-executor-front.service.d; printf '[Service]\\nExecStart=\\nExecStart=false\\n' >/run/systemd/system/review-executor-front.service.d/x.conf; systemctl daemon-reload")
		fails(t, h.TryAs(acceptance.Runner, "review-executor front"), "has not told what became of its run", "journalctl -u review-executor-front.service")
		h.Run(t, "rm -r /run/systemd/system/review-executor-front.service.d; systemctl daemon-reload")
	})
	t.Run("no right to start it", func(t *testing.T) {
		fails(t, h.Try("runuser -u nobody -- review-executor front"), "could not be started", "50-review-executor-runner.rules")
	})
	t.Run("no such unit", func(t *testing.T) {
		h.Run(t, "systemctl mask --runtime --quiet review-executor-front.service")
		fails(t, h.TryAs(acceptance.Runner, "cd shop && review-executor stop --yes main"), "could not be started", "systemctl status review-executor-front.service")
		h.Run(t, "systemctl unmask --runtime --quiet review-executor-front.service")
	})
	h.RunAs(t, acceptance.Runner, "review-executor stop main")
	if got := get(t, h, "main", "/"); !strings.HasPrefix(got, "404 ") || !strings.Contains(got, "main") {
		t.Errorf("after the stop: %s", got)
	}
	owners()
}

func runs(t *testing.T, h *acceptance.Host) int {
	t.Helper()
	told := h.Run(t, "cat /var/lib/review-front/vhosts/front.json")
	found := regexp.MustCompile(`"begun":([0-9]+)`).FindStringSubmatch(told)
	if found == nil {
		t.Fatal(told)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func fails(t *testing.T, r acceptance.Result, want ...string) {
	t.Helper()
	if r.ExitCode == 0 {
		t.Errorf("it succeeded\n%s%s", r.Stdout, r.Stderr)
	}
	for _, text := range want {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			t.Errorf("lacks %q:\n%s%s", text, r.Stdout, r.Stderr)
		}
	}
}
