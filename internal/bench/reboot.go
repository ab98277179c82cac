package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// rebooters are how many apps are there after a reboot.
const rebooters = 50

// rebooted measures how long apps that never sleep take to be served again after the
// host has booted, and what Podman alone takes to start their containers.
func (b *bench) rebooted() []figure {
	h, err := acceptance.Up()
	if b.failed(err) {
		return nil
	}
	defer func() { _ = h.Down() }()
	program, err := os.ReadFile(b.program)
	if b.failed(err) || b.failed(os.WriteFile(filepath.Join(h.Shared, "review-executor"), program, 0o755)) { //nolint:gosec // a program
		return nil
	}
	b.do(h, "root", sleepHost+"\n"+rebootProbe)
	b.do(h, acceptance.Runner, steadyApps)
	if b.err != nil {
		return nil
	}
	b.failed(h.Restart())
	seconds := strings.Fields(b.do(h, "root", rebootTimes))
	if len(seconds) != rebooters+1 {
		b.failed(fmt.Errorf("of %d apps these were served after the reboot, in seconds, with Apache's first: %s\n%s", rebooters, seconds,
			b.do(h, "root", "journalctl --no-pager --lines 100 _UID=$(id -u gitlab-runner)")))
		return nil
	}
	fmt.Fprintf(os.Stderr, "after the reboot Apache answers in %s s, the first app in %s s, half of them in %s s\n", seconds[0], seconds[1], seconds[rebooters/2])
	last, err := strconv.ParseFloat(seconds[rebooters], 64)
	b.failed(err)
	b.do(h, "root", "systemctl disable --quiet probe.service")
	b.do(h, acceptance.Runner, "rm .config/systemd/user/*.target.wants/review-app-*")
	b.failed(h.Restart())
	return []figure{
		{Name: "host.reboot_50_s", Value: last, Unit: "s", NoGoal: true},
		{Name: "host.podman_first_s", Value: b.number(h, podmanFirst), Unit: "s", NoGoal: true},
		{Name: "host.podman_start_50_s", Value: b.number(h, podmanStarts(1)), Unit: "s", NoGoal: true},
		{Name: "host.podman_start_50_by_4_s", Value: b.number(h, podmanStarts(4)), Unit: "s", NoGoal: true},
	}
}

// steadyApps deploys the apps one after the other, all of one image.
var steadyApps = `systemctl --user enable --now --quiet podman.socket
mkdir shop && cd shop && git init --quiet --initial-branch main
printf 'FROM localhost/review-demo/busybox\nRUN mkdir /www && echo hello >/www/index.html\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD ["httpd","-f","-p","8080","-h","/www"]\n' >Containerfile
git add . && git -c user.name=bench -c user.email=bench@example.org commit --quiet --message one
began=$(date +%s)
for n in $(seq ` + strconv.Itoa(rebooters) + `); do
	git branch app-$n
	review-executor try . --branch app-$n --variable REVIEW_SLEEP_AFTER=never >log 2>&1 || { cat log; exit 1; }
done
echo "` + strconv.Itoa(rebooters) + ` apps deployed in $(( $(date +%s) - began )) s" >&2`

// rebootProbe is a unit of the host that asks from the boot on for every app until it
// answers, and writes when it did: a visitor each.
var rebootProbe = `sed -i '/^\[apache\]/i [limits]\nsleep_after_max = "never"\n' /etc/review-executor/config.toml
cat >/usr/local/bin/probe <<'END'
#!/bin/sh
until curl --silent --output /dev/null http://127.0.0.1/; do sleep 0.1; done
date +%s.%N >/var/tmp/served
for n in $(seq ` + strconv.Itoa(rebooters) + `); do
	(
		until curl --silent --fail --max-time 120 --output /dev/null --header "Host: app-$n.review.test" http://127.0.0.1/; do sleep 0.1; done
		date +%s.%N >>/var/tmp/served
	) &
done
wait
END
chmod 755 /usr/local/bin/probe
printf '[Service]\nExecStart=/usr/local/bin/probe\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/probe.service
systemctl daemon-reload && systemctl enable --quiet probe.service`

// rebootTimes prints the seconds from the start of the host's first process to the first
// answer of Apache and to that of each app.
const rebootTimes = `for _ in $(seq 300); do systemctl is-active --quiet probe.service || break; sleep 1; done
booted=$(date -d "$(systemctl show --timestamp=us+utc --property UserspaceTimestamp --value)" +%s.%N)
sort -n /var/tmp/served | awk -v booted=$booted '{ printf "%.2f\n", $1 - booted }'`

// podmanFirst prints how many seconds Podman takes for the first command after a boot, which
// makes the state of all containers anew.
const podmanFirst = `began=$(date +%s%N)
podman ps --quiet >/dev/null
ended=$(date +%s%N)
echo $(( (ended - began) / 1000 )) | awk '{ print $1 / 1000000 }'`

// podmanStarts prints how many seconds Podman takes to start all containers, some at a time.
func podmanStarts(atATime int) string {
	return fmt.Sprintf(`began=$(date +%%s%%N)
podman ps --all --quiet --filter label=review-executor.role=app | xargs -n 1 -P %d podman start >/dev/null
ended=$(date +%%s%%N)
test $(podman ps --quiet | wc -l) = %d
podman stop --all --time 0 >/dev/null
echo $(( (ended - began) / 1000 )) | awk '{ print $1 / 1000000 }'`, atATime, rebooters)
}
