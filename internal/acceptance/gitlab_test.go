package acceptance_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
	"gitlab.com/review-executor/review-executor/internal/coordinatortest"
)

// gitLabNetwork makes another machine of a network that is the host's only one. What comes
// there to port 80 is answered by who listens in the host's shared directory, in a shutdown
// for as long as there is a network.
const gitLabNetwork = `cat >/etc/systemd/system/gitlab-network.service <<'END'
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=network.target sockets.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'ip netns add gitlab; ip link add eth0 type veth peer name eth0 netns gitlab; \
	ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip -n gitlab address add 192.0.2.10/24 dev eth0; ip -n gitlab link set eth0 up; \
	ip route add default via 192.0.2.10; grep -q gitlab.example.org /etc/hosts || echo 192.0.2.10 gitlab.example.org >>/etc/hosts'
[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/gitlab.socket <<'END'
[Unit]
Requires=gitlab-network.service
After=gitlab-network.service
[Socket]
NetworkNamespacePath=/run/netns/gitlab
ListenStream=192.0.2.10:80
[Install]
WantedBy=sockets.target
END
cat >/etc/systemd/system/gitlab.service <<'END'
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=network.target shutdown.target
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd /shared/gitlab.sock
END
systemctl daemon-reload && systemctl enable --quiet --now gitlab-network.service gitlab.socket`

// newGitLab is the GitLab at http://gitlab.example.org, for the host and its containers.
// Its project has these files.
func newGitLab(t *testing.T, h *acceptance.Host, files map[string]string) *coordinatortest.Coordinator {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"add", "."},
		{"-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "first"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	listener, err := net.Listen("unix", filepath.Join(h.Shared, "gitlab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	h.Run(t, gitLabNetwork)
	return coordinatortest.Start(t, listener, "http://gitlab.example.org", dir)
}

// installRunner does what GitLab's package of gitlab-runner does. The user is there. The image
// of the helper, which is GitLab's, is made of the runner.
func installRunner(t *testing.T, h *acceptance.Host) {
	t.Helper()
	runner, err := exec.LookPath("gitlab-runner")
	if err != nil {
		t.Skip("gitlab-runner is not in PATH: ", err)
	}
	if out, err := exec.Command("cp", "--dereference", runner, filepath.Join(h.Shared, "gitlab-runner")).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	h.Run(t, `set -e
install -m 755 /shared/gitlab-runner /usr/bin/gitlab-runner
gitlab-runner install --user gitlab-runner --working-directory /home/gitlab-runner
gitlab-runner start`)
	h.RunAs(t, acceptance.Runner, `set -e
mkdir helper && cp /usr/bin/gitlab-runner helper/gitlab-runner-helper
printf 'FROM localhost/review-demo/debian\nCOPY gitlab-runner-helper /usr/local/bin/\n' >helper/Containerfile
podman build --quiet --tag localhost/review-test/helper helper
rm -r helper`)
}
