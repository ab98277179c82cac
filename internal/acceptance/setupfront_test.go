package acceptance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// packaged is what the package brings beside the program.
const packaged = `
cp /shared/packaging/systemd/* /usr/lib/systemd/system/
mkdir -p /usr/share/polkit-1/rules.d && cp /shared/packaging/polkit/* /usr/share/polkit-1/rules.d/
cp /shared/packaging/sysusers.d/* /usr/lib/sysusers.d/ && cp /shared/packaging/tmpfiles.d/* /usr/lib/tmpfiles.d/
systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload && systemctl restart polkit
`

// TestSetup_KeepsWhatIsThere, and what doctor prints for a front that is a unit mends it.
func TestSetup_KeepsWhatIsThere(t *testing.T) {
	h := acceptance.Start(t)
	h.Program(t)
	if err := os.CopyFS(filepath.Join(h.Shared, "packaging"), os.DirFS(filepath.Join(acceptance.Root(), "packaging"))); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chmod", "-R", "a+rX", h.Shared).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	h.Run(t, bare+packaged+"rm /etc/systemd/system/review-executor-webhook.* && systemctl daemon-reload; sed -i '/^domain/d' /etc/review-executor/config.toml")

	command := "review-executor setup --domain review.localhost --user alice"
	if got := h.Try(command + " --dry-run"); got.ExitCode != 0 || !strings.Contains(got.Stdout, "loginctl enable-linger gitlab-runner") || h.Try("grep domain /etc/review-executor/config.toml").ExitCode == 0 {
		t.Errorf("a dry run: exit code %d\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	if got := h.Try("echo n | " + command); got.ExitCode != 2 || !strings.Contains(got.Stderr, "--yes") {
		t.Errorf("without a yes: exit code %d\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	if got := h.TryAs(acceptance.Runner, command+" --yes"); got.ExitCode != 1 || !strings.Contains(got.Stderr, "only root") {
		t.Errorf("as the runner's user: exit code %d\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	if got := h.Try(command + " --yes"); got.ExitCode != 3 { // there is no GitLab
		t.Fatalf("exit code %d\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	h.RunAs(t, acceptance.Runner, site)
	before := h.Run(t, "cat /etc/review-executor/config.toml /etc/gitlab-runner/config.toml /etc/subuid")
	if got := h.Try(command + " --yes"); got.ExitCode != 3 || strings.Contains(got.Stdout, "\n+ ") {
		t.Errorf("a second time: exit code %d\n%s%s", got.ExitCode, got.Stdout, got.Stderr)
	}
	if got := h.Run(t, "cat /etc/review-executor/config.toml /etc/gitlab-runner/config.toml /etc/subuid"); got != before || !strings.Contains(got, "# an administrator's") || !strings.Contains(got, `pull_policy = ["if-not-present"]`) {
		t.Errorf("a second time, the files are\n%s\nbefore\n%s", got, before)
	}
	breakAndMend(t, h, []brokenHost{
		{"the front's unit is masked", "systemctl mask --runtime review-executor-front.service && systemctl mask review-executor-front.service", "apache-reload", "masked"},
		{"no right to start the front", "rm /usr/share/polkit-1/rules.d/50-review-executor-runner.rules && systemctl restart polkit", "apache-reload", "let gitlab-runner start review-executor-front.service"},
		{"the front may not reload", "rm /usr/share/polkit-1/rules.d/50-review-executor-front.rules && systemctl restart polkit", "apache-reload", "let review-front reload apache2.service"},
		{"virtual hosts are the runner's", "chown gitlab-runner /var/lib/review-front/vhosts", "vhost-dir", "belongs to gitlab-runner"},
		{"virtual hosts are everybody's", "chmod 777 /var/lib/review-front/vhosts", "vhost-dir", "mode 0777"},
		{"no virtual hosts", "rm -r /var/lib/review-front/vhosts && systemctl reload apache2", "vhost-dir", "there is no"},
		{"the front's run has failed", "echo Nonsense >/etc/apache2/conf-enabled/nonsense.conf; rm /var/lib/review-front/vhosts/zz-unknown.conf; systemctl start review-executor-front.service || rm /etc/apache2/conf-enabled/nonsense.conf", "front", "Invalid command 'Nonsense'"},
		{"the front refuses an app", "sed 's/main/ghost/g; s/ghost[.]review[.]localhost/ghost.example.org/' /var/lib/review-executor/apps/main.json >/var/lib/review-executor/apps/ghost.json; chown gitlab-runner: /var/lib/review-executor/apps/ghost.json; systemctl start review-executor-front.service || true", "front", "refused ghost, which is as it was before: host ghost.example.org is not ghost.review.localhost"},
	})
	h.Reboot(t)
	mended(t, h, nil)
}
