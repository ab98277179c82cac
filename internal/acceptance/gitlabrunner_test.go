package acceptance_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
	"gitlab.com/review-executor/review-executor/internal/coordinatortest"
)

// certificate makes a wildcard certificate, and the token of a runner.
const certificate = `set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj '/CN=*.review.localhost' -addext 'subjectAltName=DNS:*.review.localhost,DNS:review.localhost' \
	-keyout /etc/ssl/private/review.key -out /etc/ssl/review.pem 2>/dev/null
(umask 077; echo glrt-0123456789abcdefghij >/root/runner-token)`

// setupCommand is docs/getting-started.md's.
const setupCommand = `review-executor setup --domain review.localhost --user alice --tls-certificate /etc/ssl/review.pem --tls-key /etc/ssl/private/review.key \
	--gitlab-url http://gitlab.example.org --runner-token-file /root/runner-token --yes`

// administrated is a host with a real gitlab-runner, on its way from its package to its purge.
type administrated struct {
	*acceptance.Host
	*coordinatortest.Coordinator
	t   *testing.T
	ask string // for the app's page, with the password
}

// TestGitLabRunner_FromThePackageToThePurge goes a new administrator's whole way, with
// gitlab-runner as the service that its own package makes.
func TestGitLabRunner_FromThePackageToThePurge(t *testing.T) {
	if _, err := exec.LookPath("gitlab-runner"); err != nil {
		t.Skip("gitlab-runner is not in PATH: ", err)
	}
	h := acceptance.Start(t)
	a := &administrated{Host: h, Coordinator: newGitLab(t, h, map[string]string{
		"Containerfile": "FROM localhost/review-demo/busybox\nCOPY index.html /www/\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n",
		"index.html":    "hello\n",
	}), t: t}
	install := commandsOf(t, "docs/packages.md")[0]
	installRunner(t, h)
	h.Run(t, certificate+"; mkdir /root/packages")
	beforeFiles, beforeUnits, beforeObjects := without(strings.Join(files(t, h), "\n"), stays), without(h.Run(t, unitsAndUsers), stays), h.RunAs(t, acceptance.Runner, objects)

	deb(t, h, "0.1")
	h.Run(t, "cd /root/packages && "+install)
	h.Run(t, strings.NewReplacer(`helper_image = "localhost/review-demo/debian"`, `helper_image = "localhost/review-test/helper"`, `"3s"`, `"8s"`).Replace(images))
	said := h.Try(setupCommand)
	if said.ExitCode != 3 { // there is no token to ask GitLab with, and limits are not enforced here
		t.Fatalf("setup: exit code %d\n%s%s\n%s", said.ExitCode, said.Stdout, said.Stderr, h.Try("journalctl --no-pager --lines 100").Stdout)
	}
	if strings.Contains(said.Stdout, "it failed") {
		t.Errorf("not everything that setup does works:\n%s", said.Stdout)
	}
	a.ask = "curl --silent --show-error --max-time 60 --cacert /etc/ssl/review.pem --resolve '*:443:127.0.0.1' --user alice:" +
		regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(said.Stdout) + " https://login.review.localhost/"
	h.Run(t, "test gitlab-runner = $(systemctl show --property=User --value gitlab-runner)")

	a.Push(coordinatortest.Spec{Script: []string{`echo "first job, at $(git rev-parse HEAD)"`}}).Succeeded("first job, at " + a.SHA())
	beforeJobs := h.RunAs(t, acceptance.Runner, objects)

	a.Push(deployLogin).Succeeded("Deploying review app login", "Ready: https://login.review.localhost")
	a.serves("deployed,")
	if got := h.Run(t, "curl --silent --output /dev/null --write-out '%{http_code}' --cacert /etc/ssl/review.pem --resolve '*:443:127.0.0.1' https://login.review.localhost/"); got != "401" {
		t.Errorf("without the password, it answers %s", got)
	}
	h.Reboot(t)
	a.serves("after a reboot,")
	a.sleeps()
	a.serves("asleep,")
	a.upgrade(install)
	a.interrupted()

	a.Push(coordinatortest.Spec{Environment: "review/login", Action: "stop", Script: []string{"true"}, Variables: []string{"GIT_STRATEGY=none"}}).Succeeded("Stopped review app login")
	if diff := cmp.Diff(beforeJobs, h.RunAs(t, acceptance.Runner, objects)); diff != "" {
		t.Errorf("the stop has left, or taken:\n%s", diff)
	}

	a.Push(deployLogin).Succeeded()
	h.Run(t, "apt-get purge -y review-executor")
	for what, diff := range map[string]string{
		"files": cmp.Diff(beforeFiles, without(strings.Join(files(t, h), "\n"), stays)), "units, users and Apache": cmp.Diff(beforeUnits, without(h.Run(t, unitsAndUsers), stays)),
		"the runner's": cmp.Diff(beforeObjects, h.RunAs(t, acceptance.Runner, objects)),
	} {
		if diff != "" {
			t.Errorf("purging leaves, or takes, of %s:\n%s", what, diff)
		}
	}
}

// stays is what docs/packages.md says of a purge: how gitlab-runner is configured, and the modules of
// Apache that were enabled.
var stays = regexp.MustCompile(`^/etc/systemd/system/gitlab-runner\.service\.d|^/etc/apache2/mods-enabled/|^/var/lib/apache2/|^ [a-z0-9_]+_module \(shared\)$`)

// without returns the lines but for those that match.
func without(text string, not *regexp.Regexp) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), not.MatchString)
}

var deployLogin = coordinatortest.Spec{Environment: "review/login", Action: "start", Script: []string{"true"}}

func (a *administrated) serves(when string) {
	a.t.Helper()
	if got := a.Run(a.t, a.ask); got != "hello\n" {
		a.t.Errorf("%s it serves %q", when, got)
	}
}

func (a *administrated) sleeps() {
	a.t.Helper()
	a.RunAs(a.t, acceptance.Runner, "for _ in $(seq 300); do review-executor list | grep --quiet sleeping && exit; sleep 0.2; done; review-executor list; exit 1")
}

// upgrade installs the next version while requests and a job are on their way.
func (a *administrated) upgrade(install string) {
	a.t.Helper()
	deb(a.t, a.Host, "0.2")
	job := a.begun()
	a.serves("before the upgrade,")
	upgradesWithoutAFailedRequest(a.t, a.Host, install, a.ask)
	a.finish(job)
}

// begun is a job that runs until it is finished. It goes on to say something, because the runner soon
// asks only then whether it is cancelled.
func (a *administrated) begun() *coordinatortest.Job {
	a.t.Helper()
	job := a.Push(coordinatortest.Spec{Script: []string{"echo be''gun", "until test -e /tmp/go; do echo tick; sleep 0.2; done"}})
	job.WaitFor("begun")
	return job
}

func (a *administrated) finish(job *coordinatortest.Job) {
	a.t.Helper()
	a.RunAs(a.t, acceptance.Runner, fmt.Sprintf("podman exec review-job-%d touch /tmp/go", job.ID))
	job.Succeeded()
}

// things lists what jobs and apps have.
const things = `podman ps --all --format '{{.Names}}'; podman volume ls --quiet; podman network ls --quiet`

// interrupted ends jobs before their time. Nothing of them stays, and the app serves on.
func (a *administrated) interrupted() {
	a.t.Helper()
	before := a.RunAs(a.t, acceptance.Runner, things)
	nothingStays := func(how string) {
		a.t.Helper()
		if diff := cmp.Diff(before, a.RunAs(a.t, acceptance.Runner, things)); diff != "" {
			a.t.Errorf("a job that was ended by %s has left, or taken:\n%s%s", how, diff, a.Try("journalctl --no-pager --lines 60").Stdout)
		}
		a.serves("after " + how + ",")
	}

	job := a.begun()
	job.SetStatus("canceling")
	if got := job.Wait(); got.State != "failed" {
		a.t.Errorf("a cancelled job: %+v", got)
	}
	nothingStays("a cancel")

	a.begun()
	a.Run(a.t, "systemctl restart gitlab-runner")
	nothingStays("a restart of the service")

	// As GitLab's documentation has it for a service that lets its jobs end.
	const drain = "/etc/systemd/system/gitlab-runner.service.d/kill.conf"
	a.Run(a.t, "printf '[Service]\nKillSignal=SIGQUIT\nTimeoutStopSec=7200\n' >"+drain+"; systemctl daemon-reload")
	job = a.begun()
	a.Run(a.t, "systemctl --no-block restart gitlab-runner; until test $(systemctl is-active gitlab-runner) = deactivating; do sleep 0.1; done")
	a.finish(job)
	a.Run(a.t, "rm "+drain+"; systemctl daemon-reload")
	nothingStays("itself, with the service")

	a.begun()
	a.Run(a.t, "systemctl kill --signal=KILL gitlab-runner; systemctl restart gitlab-runner")
	a.Push(coordinatortest.Spec{Script: []string{"true"}}).Succeeded()
	nothingStays("a kill, once there was another job,")

	// The runner goes before Podman does, and so tidies up.
	a.begun()
	a.Reboot(a.t)
	nothingStays("a reboot")
	a.Push(coordinatortest.Spec{Script: []string{"true"}}).Succeeded()
}
