package acceptance_test

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// useConfig is of a host that speaks TLS, and so HTTP/2, whose browsers wait long.
const useConfig = `domain = "review.test"
supervisor = "systemd"
[apache]
listen = "*:443"
tls_certificate = "/etc/ssl/certs/review.pem"
tls_key = "/etc/ssl/private/review.key"
login = "none"
access_log = ""
[limits]
sleep_after = "2s"
sleep_after_max = "2h"
[jobs]
helper_image = "localhost/review-demo/debian"
[isolation]
user_namespace = false # a container in a container has too few
`

const streamCertificate = `openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=review.test -addext subjectAltName=DNS:review.test,DNS:*.review.test -keyout /etc/ssl/private/review.key -out /etc/ssl/certs/review.pem 2>&1
	chown gitlab-runner /etc/ssl/private/review.key && chmod 711 /etc/ssl/private`

// stream has an app with an event stream and a socket that echoes. It starts slowly while
// /data/slow exists.
const stream = `mkdir stream && cd stream && git init --quiet --initial-branch main && git config user.email shop@example.org && git config user.name shop
cat >answer.sh <<'END'
read -r method path version
while read -r header && [ "$header" != "$(printf '\r')" ]; do :; done
case $path in
/events)
	printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n'
	while printf 'data: tick\n\n'; do sleep 0.2; done ;;
/socket)
	printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
	exec cat ;;
*) printf 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\npage\n' ;;
esac
END
cat >run.sh <<'END'
trap 'exit 0' TERM
[ ! -e /data/slow ] || { sleep 8 & wait; }
nc -ll -p 8080 -e sh /answer.sh &
wait
END
printf 'FROM localhost/review-demo/busybox\nCOPY run.sh answer.sh /\nEXPOSE 8080\nCMD ["sh", "/run.sh"]\n' >Containerfile
git add . && git commit --quiet --message one`

const deployStream = `review-executor try stream --image localhost/review-demo/busybox --variable REVIEW_VOLUMES=/data`

// curl asks the app on that branch.
func curl(branch, path string, options ...string) string {
	host := branch + ".review.test"
	return "curl --silent --show-error --max-time 60 --cacert /etc/ssl/certs/review.pem --resolve " + host + ":443:127.0.0.1 " + strings.Join(options, " ") + " https://" + host + path
}

// asleep waits until no container runs.
func (s *sleeper) asleep() {
	s.t.Helper()
	s.eventually("it sleeps", `test "$(review-executor list --state sleeping --output json | grep --count '"name"')" = "$(review-executor list --output json | grep --count '"name"')" && test -z "$(podman ps --quiet)"`)
}

// TestSleep_WhoeverIsConnectedKeepsTheAppAwake: one host, with event streams, WebSockets,
// requests that come just as the app falls asleep, pages of slow wakes, and little memory.
func TestSleep_WhoeverIsConnectedKeepsTheAppAwake(t *testing.T) {
	s := bootSleeper(t, strings.NewReplacer("listen =", "#listen =", "tls_", "#tls_").Replace(useConfig))
	s.Run(t, streamCertificate)
	s.configure(useConfig)
	s.Run(t, "review-executor apache-config >/etc/apache2/conf-available/review-executor.conf && systemctl restart apache2")
	s.user(stream + " && cd .. && " + deployStream)

	t.Run("event stream", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		got := s.Run(t, curl("main", "/events", "--http2", "--no-buffer", "--write-out '%{http_version}'", "--max-time 7")+` & sleep 5
			su --login gitlab-runner --command 'export XDG_RUNTIME_DIR=/run/user/$(id -u); review-executor list --output json; review-executor show main | grep used'; wait`)
		if !strings.Contains(got, "data: tick") || !strings.Contains(got, `"state": "live"`) || !strings.Contains(got, "last used    now") || !strings.HasSuffix(got, "\n2") {
			t.Errorf("with an event stream it is %s", got)
		}
		s.asleep()
	})
	// After an upgrade of the program: sync writes them anew, and whoever is connected stays so.
	t.Run("units of another version", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		s.Write(t, "/tmp/upgrade.sh", `export XDG_RUNTIME_DIR=/run/user/$(id -u)
cd .config/systemd/user
running() { podman ps --quiet; pgrep --uid gitlab-runner -f '^/usr/lib/systemd/systemd-socket-proxyd'; }
before=$(running)
sed --in-place 's/^# form=/&x/' review-app-*
review-executor sync
! grep 'form=x' review-app-*
test "$before" = "$(running)" && ! systemctl --user show --property NeedDaemonReload $(ls -d review-app-*) | grep yes && echo as before
`, "root:root", 0o644)
		got := s.Run(t, curl("main", "/events", "--no-buffer", "--max-time 8")+` & sleep 2; su --login gitlab-runner --command 'sh -e /tmp/upgrade.sh' >/tmp/upgrade.out 2>&1; sleep 1; echo; echo after; wait; cat /tmp/upgrade.out`)
		if _, after, _ := strings.Cut(got, "\nafter\n"); !strings.Contains(after, "data: tick") || !strings.HasSuffix(got, "as before\n") {
			t.Errorf("the stream and the upgrade say %s", got)
		}
		s.asleep()
	})
	t.Run("WebSocket", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		got := s.Run(t, `{ printf 'GET /socket HTTP/1.1\r\nHost: main.review.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'; sleep 6; echo hello; sleep 1; } |
			openssl s_client -quiet -no_ign_eof -servername main.review.test -connect 127.0.0.1:443 2>/dev/null & sleep 5
			su --login gitlab-runner --command 'export XDG_RUNTIME_DIR=/run/user/$(id -u); review-executor list --output json'; wait`)
		if !strings.Contains(got, " 101 ") || !strings.Contains(got, "hello\n") || !strings.Contains(got, `"state": "live"`) {
			t.Errorf("with a WebSocket it is %s", got)
		}
		s.asleep()
	})
	// A connection that is not taken when the proxy ends is what comes in the last milliseconds.
	t.Run("as it falls asleep", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		for range 3 {
			got := s.Run(t, curl("main", "/")+` && pid=$(pgrep --uid gitlab-runner -f '^/usr/lib/systemd/systemd-socket-proxyd') && kill -STOP $pid || exit 1
				`+curl("main", "/", "--write-out '%{http_code}'")+` & sleep 1
				kill -TERM $pid; kill -CONT $pid; wait`)
			if got != "page\npage\n200" {
				t.Errorf("it answers %q\n%s", got, s.journal())
			}
		}
		s.asleep()
	})
	t.Run("slow wake", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		data := `$(podman volume inspect --format '{{.Mountpoint}}' $(podman volume ls --quiet | grep main-data))`
		t.Cleanup(func() {
			s.TryAs(acceptance.Runner, "rm -f "+data+"/slow")
			s.configure(useConfig)
		})
		s.user("touch " + data + "/slow")
		s.configure(strings.Replace(useConfig, "[apache]", "[apache]\ntimeout = \"3s\"", 1))
		s.user("review-executor sync")
		if got := s.Run(t, curl("main", "/", "--header 'Accept: text/html'", "--include")); !strings.Contains(got, " 502") || !strings.Contains(got, "This review app is waking") || !strings.Contains(strings.ToLower(got), "retry-after: 5") {
			t.Errorf("a browser gets %s", got)
		}
		if got := s.Run(t, curl("main", "/")); got != "The review app main is waking and takes long, or does not wake: ask again.\n" && got != "page\n" {
			t.Errorf("a program gets %q", got)
		}
		s.user("rm " + data + "/slow")
		s.configure(useConfig)
		s.user("review-executor sync")
		if got := s.Run(t, curl("main", "/")); got != "page\n" {
			t.Errorf("at last it answers %q", got)
		}
		s.asleep()
	})
	// The first is awake for longest, and was used last.
	t.Run("little memory", func(t *testing.T) {
		s := &sleeper{s.Host, t}
		s.user("for branch in first second; do git -C stream branch $branch; " + deployStream + " --branch $branch --variable REVIEW_SLEEP_AFTER=2h; done")
		s.Run(t, "sleep 1; "+curl("first", "/"))
		t.Cleanup(func() { s.configure(useConfig) })
		s.configure(strings.Replace(useConfig, "[limits]", "[limits]\nmemory_reserve = \"1TiB\"", 1))
		// As the unit of the package runs it.
		got := s.Run(t, `systemd-run --quiet --wait --pipe --property User=gitlab-runner --property ProtectSystem=strict --property ProtectHome=read-only --property 'ReadWritePaths=/var/lib/review-executor /home/gitlab-runner/.config' \
			--property PrivateDevices=yes --property NoNewPrivileges=yes --property CapabilityBoundingSet= --property RestrictNamespaces=yes --property SystemCallFilter=@system-service --property 'SystemCallFilter=~@privileged @resources' review-executor sync 2>&1`)
		first, second := strings.Index(got, "sent first to sleep"), strings.Index(got, "sent second to sleep")
		if first < 0 || second < 0 || second > first {
			t.Errorf("sync says %s", got)
		}
		s.asleep()
	})
}
