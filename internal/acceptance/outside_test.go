package acceptance_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// withOutside gives the host a GitLab, which is also https://gitlab.example.org, and a name
// server that knows every name. /run/outside says what they answer.
func withOutside(t *testing.T, h *acceptance.Host) {
	t.Helper()
	build := exec.Command("go", "build", "-o", filepath.Join(h.Shared, "outside"), "./internal/acceptance/outside")
	build.Dir = acceptance.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.Run(t, `set -e
install /shared/outside /usr/local/bin/outside
mkdir /run/outside
echo 127.0.0.1 >/run/outside/address
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=gitlab.example.org -addext subjectAltName=DNS:gitlab.example.org -keyout /run/outside/outside.key -out /run/outside/outside.crt 2>/dev/null
cp /run/outside/outside.crt /usr/local/share/ca-certificates/
update-ca-certificates >/dev/null 2>&1
systemd-run --quiet --unit outside --property Restart=always /usr/local/bin/outside /run/outside
echo nameserver 127.0.0.1 >/etc/resolv.conf
for _ in $(seq 100); do curl --silent --output /dev/null https://gitlab.example.org/ && exit; sleep 0.1; done
systemctl status outside >&2
exit 1`)
}

// theToken is what the outside's GitLab wants, for the runner's user alone.
const theToken = "\necho glpat-a-token-for-tests | install -D -o gitlab-runner -m 600 /dev/stdin /etc/review-executor/gitlab-token\n"
