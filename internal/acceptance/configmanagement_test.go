package acceptance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// example is the one block of a language on a page.
func example(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(acceptance.Root(), page))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d blocks of %s", page, len(found), language)
	}
	return found[0][1]
}

// installed is what both need to be there before: the package, a runner, a user, the token.
const installed = `set -e
dpkg --install /root/packages/*.deb >/dev/null
mkdir -p /etc/gitlab-runner
printf '[[runners]]\n  name = "review"\n  executor = "custom"\n' >/etc/gitlab-runner/config.toml
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/gitlab-runner.service
systemctl daemon-reload
review-executor password set alice --generate >/dev/null` + theToken

// TestConfigurationManagement_ExamplesAreIdempotent runs what docs/administration.md shows,
// with the real tools, from the package to a review host, and once more.
func TestConfigurationManagement_ExamplesAreIdempotent(t *testing.T) {
	tasks := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(example(t, "docs/administration.md", "yaml"), "    $1")
	for name, tool := range map[string]struct {
		file, content, run string
		changed, unchanged string
	}{
		"ansible": {
			"/root/review.yml", "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n" + tasks,
			"LC_ALL=C.UTF-8 ansible-playbook --inventory localhost, /root/review.yml",
			"changed=1", "changed=0",
		},
		"puppet": {
			"/root/review.pp", example(t, "docs/administration.md", "puppet"),
			"puppet apply --detailed-exitcodes --logdest console /root/review.pp; echo changes=$?",
			"changes=2", "changes=0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := acceptance.Start(t)
			withOutside(t, h)
			deb(t, h, "0.1")
			h.Run(t, installed)
			h.Run(t, images)
			h.Write(t, tool.file, tool.content, "root:root", 0o644)
			if got := h.Try(tool.run); !strings.Contains(got.Stdout, tool.changed) {
				t.Fatalf("the first time it says\n%s%s\n%s", got.Stdout, got.Stderr, h.Try("review-executor doctor").Stdout)
			}
			if got := h.Try("review-executor doctor"); got.ExitCode != 0 {
				t.Errorf("doctor ends with %d\n%s", got.ExitCode, got.Stdout)
			}
			if got := h.Run(t, tool.run); !strings.Contains(got, tool.unchanged) {
				t.Errorf("the second time it says\n%s", got)
			}
			// What is lost comes back with the next run, and only that.
			h.Run(t, "systemctl disable --now review-executor-sync.timer")
			if got := h.Run(t, tool.run); !strings.Contains(got, tool.changed) {
				t.Errorf("without the timer it says\n%s", got)
			}
			h.Run(t, "systemctl is-active review-executor-sync.timer")
			h.RunAs(t, acceptance.Runner, deploy)
		})
	}
}
