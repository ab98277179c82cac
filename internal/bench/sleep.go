package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// sleepers are how many sleeping apps are weighed.
const sleepers = 200

// asleep measures what apps cost that sleep, and what waking takes, on a whole host
// with systemd.
func (b *bench) asleep() []figure {
	h, err := acceptance.Up()
	if b.failed(err) {
		return nil
	}
	defer func() { _ = h.Down() }()
	program, err := os.ReadFile(b.program)
	if b.failed(err) || b.failed(os.WriteFile(filepath.Join(h.Shared, "review-executor"), program, 0o755)) { //nolint:gosec // a program
		return nil
	}
	b.do(h, "root", sleepHost)
	b.do(h, acceptance.Runner, sleepApp)
	var wakes, starts []float64
	for range 7 {
		wakes = append(wakes, b.number(h, unitsOfMain+wakeOnce))
		starts = append(starts, b.number(h, unitsOfMain+startOnce))
	}
	b.do(h, acceptance.Runner, "systemctl --user stop 'review-app-main-*.service'")
	return []figure{
		{Name: "host.wake_ms", Value: (median(wakes) - median(starts)) * 1000, Unit: "ms", Goal: 300},
		{Name: "host.resident_mb", Value: b.number(h, unitsOfMain+resident), Unit: "MB", Goal: 0},
		{Name: "host.sleeping_app_mb", Value: b.number(h, unitsOfMain+weighSleepers), Unit: "MB", Goal: 1},
		{Name: "host.proxy_ratio", Value: b.number(h, unitsOfMain+throughProxy), Unit: "", NoGoal: true},
	}
}

// do runs a script on the host and returns what it has written.
func (b *bench) do(h *acceptance.Host, user, script string) string {
	if b.err != nil {
		return ""
	}
	r := h.TryAs(user, "set -e; export PODMAN_IGNORE_CGROUPSV1_WARNING=1; "+script)
	if r.ExitCode != 0 {
		b.failed(fmt.Errorf("%s\nexit code %d\n%s%s", script, r.ExitCode, r.Stdout, r.Stderr))
	}
	return r.Stdout
}

// number runs a script of the runner's user whose last word is a number.
func (b *bench) number(h *acceptance.Host, script string) float64 {
	words := strings.Fields(b.do(h, acceptance.Runner, script))
	if b.err != nil || len(words) == 0 {
		return 0
	}
	n, err := strconv.ParseFloat(words[len(words)-1], 64)
	b.failed(err)
	return n
}

const sleepHost = `install -m 755 /shared/review-executor /usr/bin/review-executor
install -d -o gitlab-runner -g gitlab-runner /var/lib/review-executor /var/lib/review-executor/vhosts
mkdir -p /etc/review-executor
cat >/etc/review-executor/config.toml <<'END'
domain = "review.test"
supervisor = "systemd"
[apache]
login = "none"
access_log = ""
configtest = ["/usr/bin/true"]
reload = ["/usr/bin/sudo", "/usr/bin/systemctl", "reload", "apache2"]
[jobs]
image = "localhost/review-demo/busybox"
helper_image = "localhost/review-demo/debian"
[isolation]
memory = "0"
cpus = 0
pids = 0
END
echo 'gitlab-runner ALL=(root) NOPASSWD: /usr/bin/systemctl reload apache2' >/etc/sudoers.d/reload
review-executor apache-config >/etc/apache2/conf-available/review-executor.conf
a2enconf --quiet review-executor && systemctl restart apache2 && loginctl enable-linger gitlab-runner`

const sleepApp = `systemctl --user enable --now --quiet podman.socket
mkdir shop && cd shop && git init --quiet --initial-branch main
printf 'FROM localhost/review-demo/busybox\nRUN mkdir /www && echo hello >/www/index.html\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD ["httpd","-f","-p","8080","-h","/www"]\n' >Containerfile
git add . && git -c user.name=bench -c user.email=bench@example.org commit --quiet --message one
review-executor try . >&2`

// unitsOfMain sets the names of the app's units and container, and the port of its socket.
const unitsOfMain = `cd .config/systemd/user; socket=$(ls review-app-main-*.socket); unit=${socket%.socket}
port=$(sed -n 's/^ListenStream=127.0.0.1://p' $socket); container=$unit
`

// A request that wakes, and what the app itself takes: its container's start to the first answer.
const (
	wakeOnce = `systemctl --user stop $unit.service
while [ -n "$(podman ps --quiet)" ]; do sleep 0.1; done; sleep 1
curl --silent --fail --output /dev/null --write-out '%{time_total}' --header 'Host: main.review.test' http://127.0.0.1/`
	startOnce = `systemctl --user stop $unit.service
while [ -n "$(podman ps --quiet)" ]; do sleep 0.1; done; sleep 1
began=$(date +%s%N)
podman start $container >/dev/null
at=$(podman port $container | sed 's/.* //')
until curl --silent --fail --output /dev/null http://$at/; do sleep 0.005; done
ended=$(date +%s%N)
podman stop --time 0 $container >/dev/null
echo $(( (ended - began) / 1000 )) | awk '{ print $1 / 1000000 }'`
)

// resident sums the memory of our programs and of systemd's proxies while nobody asks.
const resident = `for p in /proc/[0-9]*; do
	case $(readlink $p/exe 2>/dev/null) in */review-executor | */systemd-socket-proxyd) sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' $p/smaps_rollup ;; esac
done | awk '{ sum += $1 } END { print sum / 1024 }'`

// weighSleepers copies the units of a sleeping app, which differ by name and port, and
// tells by how much the user's systemd has grown for each.
var weighSleepers = `manager=$(pgrep -u $(id -u) -x systemd)
weigh() { sed -n 's/^VmRSS:\s*\([0-9]*\) kB/\1/p' /proc/$manager/status; }
before=$(weigh)
for n in $(seq ` + strconv.Itoa(sleepers) + `); do
	for file in $unit.socket $unit.service $unit-container.service; do
		sed "s/$unit/copy-$n/g; s/:$port\$/:$((10000 + n))/" $file >$(echo $file | sed "s/$unit/copy-$n/")
	done
done
systemctl --user daemon-reload
systemctl --user start $(ls copy-*.socket)
after=$(weigh)
systemctl --user stop $(ls copy-*.socket)
rm copy-* && systemctl --user daemon-reload
echo $(( after - before )) | awk '{ print $1 / 1024 / ` + strconv.Itoa(sleepers) + ` }'`

// throughProxy is the requests a second through the socket over those to the container.
const throughProxy = `curl --silent --fail --output /dev/null http://127.0.0.1:$port/
at=$(podman port $container | sed 's/.* //')
rate() { ab -q -n 2000 -c 8 http://$1/ 2>/dev/null | sed -n 's/^Requests per second: *\([0-9.]*\).*/\1/p'; }
for _ in 1 2 3; do echo $(rate 127.0.0.1:$port) $(rate $at); done | awk '{ print $1 / $2 }' | sort -n | sed -n 2p`
