package acceptance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// rpm is Debian's, which knows no package that is there, so dependencies are not looked at.
// Its data is where the comparison of files does not look.
const rpm = "cd /root/packages && rpm --dbpath /var/tmp/rpm --nodeps "

// TestPackage_RpmInstallUpgradeErase goes the way of docs/packages.md with the .rpm, whose
// scripts rpm tells of numbers where dpkg has words.
func TestPackage_RpmInstallUpgradeErase(t *testing.T) {
	h := acceptance.Start(t)
	commands := commandsOf(t, "docs/packages.md")
	h.RunAs(t, acceptance.Runner, notOurs)
	pack(t, h, "rpm", "0.1")
	beforeFiles, beforeUnits, beforeObjects := files(t, h), h.Run(t, unitsAndUsers), h.RunAs(t, acceptance.Runner, objects)

	said := h.Run(t, rpm+"--install *.rpm 2>&1")
	if !strings.Contains(said, "nothing is enabled yet") || strings.Contains(said, "scriptlet failed") {
		t.Errorf("installing says\n%s", said)
	}
	startsNothing(t, h, beforeUnits)
	h.Run(t, "review-executor version && id review-front && test -d /var/lib/review-front/vhosts && systemctl cat review-executor-front.service review-executor-sync.timer")

	h.Run(t, settings)
	words := strings.Fields(h.Run(t, commands[1]))
	h.Run(t, commands[2])
	unitsWork(t, h)
	h.RunAs(t, acceptance.Runner, deploy)
	ask := fmt.Sprintf("curl --silent --fail --user alice:%s --header 'Host: main.review.localhost' http://127.0.0.1/", words[len(words)-1])
	if got := h.Run(t, ask); got != "hello\n" {
		t.Errorf("the app serves %q", got)
	}

	pack(t, h, "rpm", "0.2")
	const running = "systemctl show --property=Id,ActiveState,UnitFileState,ActiveEnterTimestamp review-executor-sync.timer review-executor-webhook.socket"
	before := h.Run(t, running)
	upgradesWithoutAFailedRequest(t, h, rpm+"--upgrade *.rpm 2>&1", ask)
	if diff := cmp.Diff(before, h.Run(t, running)); diff != "" {
		t.Errorf("upgrading has stopped or restarted\n%s", diff)
	}

	const erase = rpm + "--erase review-executor 2>&1"
	if said := h.Run(t, erase); !strings.Contains(said, "This stays: 1 apps") || !strings.Contains(said, "/usr/libexec/review-executor/purge") || strings.Contains(said, "apt-get") {
		t.Errorf("erasing does not say what it leaves:\n%s", said)
	}
	if got := h.Run(t, ask); got != "hello\n" {
		t.Errorf("after erasing, Apache serves %q", got)
	}
	if got := h.Run(t, "systemctl list-units --state=active,activating,failed --plain --no-legend 'review-executor*'; ls /usr/bin/review-executor 2>/dev/null || true"); got != "" {
		t.Errorf("after erasing there is still\n%s", got)
	}
	h.Run(t, "grep review.localhost /etc/review-executor/config.toml.rpmsave && test -s /etc/review-executor/webhook-secret && test -e /var/lib/review-executor/apps/main.json && test -e /var/lib/review-front/vhosts/app-main.conf && systemctl reload apache2")

	// Installed again it goes on from there, and the purge leaves nothing.
	h.Run(t, rpm+"--install *.rpm && mv /etc/review-executor/config.toml.rpmsave /etc/review-executor/config.toml")
	h.RunAs(t, acceptance.Runner, "review-executor list | grep main")
	h.Run(t, "/usr/libexec/review-executor/purge")
	h.Run(t, erase)
	if diff := cmp.Diff(beforeFiles, files(t, h)); diff != "" {
		t.Errorf("purging leaves, or takes:\n%s", diff)
	}
	if diff := cmp.Diff(beforeUnits, h.Run(t, unitsAndUsers)); diff != "" {
		t.Errorf("purging leaves, or takes, of units, users and Apache:\n%s", diff)
	}
	if diff := cmp.Diff(beforeObjects, h.RunAs(t, acceptance.Runner, objects)); diff != "" {
		t.Errorf("purging leaves, or takes, of the runner's:\n%s", diff)
	}
}
