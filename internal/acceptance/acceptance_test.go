package acceptance_test

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// TestHost_IsAWholeMachine: what the other tests of the host stand on.
func TestHost_IsAWholeMachine(t *testing.T) {
	h := acceptance.Start(t)
	h.Run(t, "test $(systemctl is-system-running) = running && systemctl is-active apache2")
	h.Run(t, "loginctl enable-linger gitlab-runner")
	serve := "podman run --detach --name web --publish 127.0.0.1:8080:80 localhost/review-demo/busybox sh -c 'mkdir /www; echo hello >/www/index.html; trap \"exit 0\" TERM; httpd -f -p 80 -h /www & wait'"
	h.RunAs(t, acceptance.Runner, serve)
	if got := h.Run(t, "curl --silent --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:8080/"); got != "hello\n" {
		t.Errorf("a container of the runner's user serves %q", got)
	}
	if got := h.TryAs(acceptance.Runner, "systemctl reload apache2.service"); got.ExitCode == 0 {
		t.Error("the runner's user may reload Apache")
	}
	h.Reboot(t)
	if got := h.RunAs(t, acceptance.Runner, "systemctl --user is-system-running; podman ps --all --format '{{.Names}} {{.State}}'"); !strings.Contains(got, "running\n") || !strings.Contains(got, "web exited") {
		t.Errorf("after the reboot:\n%s", got)
	}
}
