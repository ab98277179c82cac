package acceptance_test

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// sleeper is a host whose apps sleep after two seconds without a connection.
type sleeper struct {
	*acceptance.Host
	t *testing.T
}

const sleeperConfig = `domain = "review.test"
supervisor = "systemd"
[apache]
login = "none"
access_log = ""
[limits]
sleep_after = "2s"
sleep_after_max = "never"
[jobs]
helper_image = "localhost/review-demo/debian"
[isolation]
user_namespace = false # a container in a container has too few
`

// mayReload lets the runner's user reload Apache.
const mayReload = `polkit.addRule(function(action, subject) {
	if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "gitlab-runner" &&
		action.lookup("unit") == "apache2.service" && action.lookup("verb") == "reload") return polkit.Result.YES;
});
`

// project has an app that ends when it is told to, and does not start while /data/broken exists.
const project = `mkdir shop && cd shop && git init --quiet --initial-branch main && git config user.email shop@example.org && git config user.name shop
echo one >index.html
cat >run.sh <<'END'
[ ! -e /data/broken ] || exit 3
trap 'exit 0' TERM
httpd -f -p 8080 -h /www &
wait
END
printf 'FROM localhost/review-demo/busybox\nCOPY run.sh /run.sh\nCOPY index.html /www/index.html\nEXPOSE 8080\nCMD ["sh", "/run.sh"]\n' >Containerfile
git add . && git commit --quiet --message one`

const deployShop = `review-executor try shop --image localhost/review-demo/busybox --variable REVIEW_VOLUMES=/data --service localhost/review-demo/redis=redis`

func newSleeper(t *testing.T) *sleeper {
	s := bootSleeper(t, sleeperConfig)
	s.user(project)
	return s
}

func bootSleeper(t *testing.T, config string) *sleeper {
	t.Helper()
	s := &sleeper{acceptance.Start(t), t}
	s.Program(t)
	s.configure(config)
	s.Write(t, "/etc/polkit-1/rules.d/50-reload.rules", mayReload, "root:root", 0o644)
	s.Run(t, `install -d -o gitlab-runner -g gitlab-runner /var/lib/review-executor /var/lib/review-executor/vhosts
		review-executor apache-config >/etc/apache2/conf-available/review-executor.conf
		a2enconf --quiet review-executor && systemctl restart apache2 polkit && loginctl enable-linger gitlab-runner`)
	s.user("systemctl --user enable --now --quiet podman.socket")
	return s
}

func (s *sleeper) configure(config string) {
	s.t.Helper()
	s.Write(s.t, "/etc/review-executor/config.toml", config, "root:root", 0o644)
}

// user runs a script as the runner's user would without a session: no bus is named.
func (s *sleeper) user(script string) string {
	s.t.Helper()
	return s.RunAs(s.t, acceptance.Runner, "unset DBUS_SESSION_BUS_ADDRESS; export PODMAN_IGNORE_CGROUPSV1_WARNING=1; "+script)
}

// journal is what the runner's user has last done: a system user has no journal of its own.
func (s *sleeper) journal() string {
	s.t.Helper()
	return s.Run(s.t, "journalctl --no-pager --lines 60 --output short-precise _UID=$(id -u gitlab-runner)")
}

// get asks for the app's page.
func (s *sleeper) get(options ...string) string {
	s.t.Helper()
	return s.Run(s.t, `curl --silent --show-error --max-time 60 --write-out ' %{http_code}' --header 'Host: main.review.test' `+strings.Join(options, " ")+` http://127.0.0.1/`)
}

func (s *sleeper) serves(want string) {
	s.t.Helper()
	if got := s.get(); got != want+"\n 200" {
		s.t.Errorf("it answers %q, want %q\n%s", got, want, s.user("review-executor list; podman ps --all")+s.journal())
	}
}

// eventually waits for a command of the user to succeed.
func (s *sleeper) eventually(what, script string) {
	s.t.Helper()
	result := s.TryAs(acceptance.Runner, "for _ in $(seq 150); do if "+script+"; then exit 0; fi; sleep 0.2; done; exit 1")
	if result.ExitCode != 0 {
		s.t.Errorf("%s: it never is so\n%s", what, s.user("review-executor list; podman ps --all; systemctl --user list-units --all 'review-app*'")+s.journal())
	}
}

// sleeps waits until the app and its companion are stopped, and nothing was removed.
func (s *sleeper) sleeps() {
	s.t.Helper()
	s.eventually("it sleeps", `review-executor list | grep --quiet sleeping && test -z "$(podman ps --quiet)"`)
	if got := strings.Count(s.user("podman ps --all --quiet"), "\n"); got != 2 {
		s.t.Errorf("%d containers are kept, want the app's and the companion's", got)
	}
}

// TestSleep_AppsSleepWakeAndOutliveReboots: one host, from the first deploy to the end.
func TestSleep_AppsSleepWakeAndOutliveReboots(t *testing.T) {
	s := newSleeper(t)
	s.user(deployShop)
	s.serves("one")
	s.sleeps()
	s.user("for unit in $(systemctl --user list-units --all --plain --no-legend 'review-app-main-*.service' | awk '{print $1}'); do systemd-analyze --user security --no-pager --threshold=30 $unit; done")
	s.user("review-executor sync")
	s.sleeps() // sync lets it be

	s.serves("one") // a request wakes it
	if got := strings.Count(s.user("podman ps --quiet"), "\n"); got != 2 {
		t.Errorf("%d containers run, want the app's and the companion's", got)
	}
	s.sleeps()

	s.user("cd shop && echo two >index.html && git commit --quiet --all --message two && cd .. && " + deployShop)
	s.serves("two")
	s.sleeps()
	if got := strings.Fields(s.user("cd .config/systemd/user && ls -d review-app-* sockets.target.wants/review-app-*")); len(got) != 4 {
		t.Errorf("unit files: %q, want those of one release", got)
	}

	// A wake that fails gives an answer, and does not go on by itself.
	s.user(`touch $(podman volume inspect --format '{{.Mountpoint}}' $(podman volume ls --quiet | grep main-data))/broken`)
	if got := s.get("--include"); !strings.HasPrefix(got, "HTTP/1.1 502") || !strings.Contains(got, "Retry-After:") || strings.Contains(got, "<html") {
		t.Errorf("a failed wake answers curl %q", got)
	}
	if got := s.get("--header 'Accept: text/html'"); !strings.Contains(got, "<html") || !strings.HasSuffix(got, " 502") {
		t.Errorf("a failed wake answers a browser %q", got)
	}
	s.sleeps()
	// The second may have met a container that Podman starts again and again: then it is awake for a moment.
	const failures = "journalctl --no-pager --output cat _UID=$(id -u gitlab-runner) | grep --count 'ended before it was healthy'"
	wakes := s.Run(t, failures)
	s.user("sleep 2")
	if again := s.Run(t, failures); (wakes != "1\n" && wakes != "2\n") || again != wakes {
		t.Errorf("it woke %q times for two requests, and then %q\n%s", wakes, again, s.journal())
	}
	s.user(`rm $(podman volume inspect --format '{{.Mountpoint}}' $(podman volume ls --quiet | grep main-data))/broken`)
	s.serves("two")

	// One that never sleeps is there again by itself, any other when it is asked for.
	s.user("git -C shop branch steady && " + deployShop + " --branch steady --variable REVIEW_SLEEP_AFTER=never")
	s.Reboot(t)
	s.eventually("it runs after a reboot", `test "$(podman ps --quiet --filter name=steady | wc -l)" = 2`)
	if got := s.user("podman ps --quiet --filter name=main"); got != "" {
		t.Errorf("after a reboot %s run that nobody has asked for", got)
	}
	s.serves("two")

	s.user("review-executor stop main && review-executor stop steady")
	if got := s.user("find .config/systemd/user -name 'review-app*'; find $XDG_RUNTIME_DIR/review-executor -type f; systemctl --user list-units --all --plain --no-legend 'review-app*'; podman ps --all --quiet"); got != "" {
		t.Errorf("the stop has left %s", got)
	}
}
