package acceptance_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// canary is what only root may know.
const canary = "CANARY-4711"

// TestHost_CompromisedRunnerDoesNotBecomeRoot is an attacker who is the runner's user: who
// has broken out of a job's container. Whatever is tried is refused, and the app
// of somebody else goes on.
func TestHost_CompromisedRunnerDoesNotBecomeRoot(t *testing.T) {
	h := withFront(t)
	h.RunAs(t, acceptance.Runner, "cd shop && review-executor try .")
	secret := `{"version": 2, "name": "evil", "host": "evil.review.localhost", "project": "` + canary + `", "reason": "` + canary + `", "ref": "` + canary + `", "live": {"id": "1111111-1", "ref": "` + canary + `", "backend": "` + canary + `"}}`
	h.Write(t, "/root/secret.json", secret, "root:root", 0o600)
	h.Write(t, "/root/damaged.json", canary, "root:root", 0o600)
	h.Write(t, "/home/gitlab-runner/evil.conf", "User root\n", "gitlab-runner:gitlab-runner", 0o644)
	unit := func() string {
		return h.Run(t, "systemctl show -p ExecStart,User,FragmentPath,DropInPaths,UnitFileState,CapabilityBoundingSet,Environment review-executor-front.service apache2.service | sed 's/ start_time.*//'; systemctl show-environment; find /etc /usr/lib/systemd /usr/share/polkit-1 -newer /root/damaged.json -type f")
	}
	before := unit()
	for name, attack := range map[string]func(*testing.T, *acceptance.Host){
		"units":             attackUnits,
		"an absent unit":    attackAbsentUnit,
		"files":             attackFiles,
		"the configuration": attackConfiguration,
		"records":           attackRecords,
		"links":             attackLinks,
		"static sites":      attackSites,
		"the front's user":  attackAsFront,
	} {
		t.Run(name, func(t *testing.T) {
			attack(t, h)
			h.RunAs(t, acceptance.Runner, "cd /var/lib/review-executor && rm -rf apps/evil.json attempts/evil.json ended/evil.json sites/evil && review-executor front")
			if got := get(t, h, "main", "/"); got != "200 hello\n" {
				t.Errorf("main serves %q", got)
			}
			if after := unit(); after != before {
				t.Errorf("the units are others:\n%s\nbefore:\n%s", after, before)
			}
			if got := h.Try("ls /root/pwned; grep -rl " + canary + " /var/lib/review-front; journalctl | grep " + canary).Stdout; got != "" {
				t.Errorf("there is\n%s", got)
			}
		})
	}
}

const manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"

// refusal is how those say no who are asked. A command that is not understood is no
// attack.
var refusal = regexp.MustCompile(`(?i)Interactive authentication required|Access denied|AccessDenied|Permission denied|Operation not permitted` +
	`|may not be isolated|already loaded or has a fragment file|No job queued|a password is required|Authentication failure|Authentication token manipulation` +
	`|could not be started|cannot unlink|Process migration not available`)

// asRunner has each command refused to the runner's user, in the state's directory.
func asRunner(t *testing.T, h *acceptance.Host, commands ...string) {
	t.Helper()
	var script strings.Builder
	script.WriteString("cd /var/lib/review-executor\n")
	for _, command := range commands {
		fmt.Fprintf(&script, "sh -c '%s' </dev/null 2>&1\necho \"@@$?\"\n", strings.ReplaceAll(command, "'", `'\''`))
	}
	h.Write(t, "/home/gitlab-runner/attack", script.String(), "gitlab-runner:gitlab-runner", 0o644)
	said := strings.Split(h.RunAs(t, acceptance.Runner, "sh attack"), "@@")
	if len(said) != len(commands)+1 {
		t.Fatalf("%d commands said %d things", len(commands), len(said))
	}
	for i, command := range commands {
		code, _, _ := strings.Cut(said[i+1], "\n")
		_, text, _ := strings.Cut("\n"+said[i], "\n")
		if i > 0 {
			_, text, _ = strings.Cut(said[i], "\n")
		}
		if code == "0" || !refusal.MatchString(text) {
			t.Errorf("%s: exit code %s\n%s", command, code, text)
		}
	}
}

// attackUnits asks systemd for everything but the one start, while the unit is loaded.
func attackUnits(t *testing.T, h *acceptance.Host) {
	const front = "review-executor-front.service"
	h.RunAs(t, acceptance.Runner, "printf x >/var/lib/review-executor/apps/evil.json; ! review-executor front 2>/dev/null") // it has failed, so it stays loaded
	h.Run(t, "test $(systemctl is-failed "+front+") = failed")
	var all []string
	for _, command := range []string{
		"start apache2.service", "restart apache2.service", "reload apache2.service", "stop apache2.service", "kill apache2.service",
		"stop " + front, "restart " + front, "reload " + front, "try-restart " + front, "reload-or-restart " + front, "isolate " + front,
		"kill " + front, "clean --what=all " + front, "freeze " + front, "reset-failed " + front, "start review-executor-front@x.service",
		"set-property --runtime " + front + " IPAddressAllow=any", "set-property apache2.service MemoryMax=1",
		"set-environment REVIEW_EXECUTOR_CONFIG=/home/gitlab-runner/evil.toml", "import-environment PATH", "unset-environment PATH",
		"daemon-reload", "daemon-reexec", "mask --runtime " + front, "link /home/gitlab-runner/evil.service", "enable /home/gitlab-runner/evil.service",
		"bind --mkdir " + front + " /home/gitlab-runner /etc/apache2", "set-default rescue.target", "log-level debug", "reboot", "poweroff", "rescue",
	} {
		all = append(all, "systemctl --no-ask-password "+command)
	}
	for _, command := range []string{
		"StartUnit ss " + front + " isolate",
		"StartUnitWithFlags sst " + front + " replace 0",
		"StartUnitReplace sss " + front + " apache2.service replace",
		"EnqueueUnitJob sss " + front + " start replace", "EnqueueUnitJob sss apache2.service start replace",
		"ReloadOrTryRestartUnit ss " + front + " replace",
		"SetUnitProperties sba\\(sv\\) " + front + " true 1 Description s evil",
		"KillUnit ssi " + front + " all 9", "QueueSignalUnit ssii " + front + " all 40 0",
		"AttachProcessesToUnit ssau " + front + " / 1 $$",
		"BindMountUnit sssbb " + front + " /home/gitlab-runner /etc false false",
		"MountImageUnit sssbba\\(ss\\) " + front + " /home/gitlab-runner/x /etc false false 0",
		"RefUnit s " + front, "SetEnvironment as 1 A=b", "UnsetAndSetEnvironment asas 0 1 A=b",
		"EnableUnitFiles asbb 1 /home/gitlab-runner/evil.service true true", "MaskUnitFiles asbb 1 " + front + " true true",
		startTransient(front, "pwn"), startTransient("evil.service", "pwn"), startTransient("review-executor-front.service.service", "pwn"),
	} {
		all = append(all, "busctl call -- "+manager+" "+command)
	}
	asRunner(t, h, append(all,
		"systemd-run --no-ask-password --uid=root touch /root/pwned", "systemd-run --no-ask-password --uid=review-front true",
		"systemd-run --no-ask-password --unit="+front+" touch /root/pwned", "run0 --no-ask-password touch /root/pwned",
		"busctl call org.freedesktop.DBus / org.freedesktop.DBus RequestName su org.freedesktop.systemd1 4",
		"busctl call org.freedesktop.DBus / org.freedesktop.DBus UpdateActivationEnvironment a{ss} 1 A b",
		"sudo -n true", "sudo -n -u review-front true", "su review-front -c true",
	)...)
}

// startTransient has a unit of somebody's making run a script as root.
func startTransient(unit, script string) string {
	return "StartTransientUnit 'ssa(sv)a(sa(sv))' " + unit + " replace 2 Description s evil ExecStart 'a(sasb)' 1 /bin/sh 2 /bin/sh /home/gitlab-runner/" + script + " false 0"
}

// attackAbsentUnit is a host whose unit's file is missing, as of a package that was half
// removed: then its name is free for a transient unit, and polkit asks for the same
// right as for a start.
func attackAbsentUnit(t *testing.T, h *acceptance.Host) {
	h.Write(t, "/home/gitlab-runner/pwn", "touch /root/pwned\n", "gitlab-runner:gitlab-runner", 0o755)
	h.Run(t, "mv /usr/lib/systemd/system/review-executor-front.service /root && systemctl daemon-reload && systemctl reset-failed")
	asRunner(t, h, "busctl call -- "+manager+" "+startTransient("review-executor-front.service", "pwn"))
	h.Run(t, "mv /root/review-executor-front.service /usr/lib/systemd/system && systemctl daemon-reload")
}

// attackFiles touches what Apache and the unit read.
func attackFiles(t *testing.T, h *acceptance.Host) {
	const vhosts = "/var/lib/review-front/vhosts"
	var all []string
	for _, path := range []string{
		"/var/lib/review-front/x", vhosts + "/x.conf", vhosts + "/app-main.conf", vhosts + "/gate.lua", vhosts + "/front.json", vhosts + "/.front.lock", vhosts + "/.ticket-key",
		vhosts + "/www/x", vhosts + "/www/index/index.html", vhosts + "/www/state/main.review.localhost.html", "/var/lib/review-front/metrics/review.prom",
		"/etc/review-executor/config.toml", "/etc/review-executor/htpasswd", "/etc/review-executor/x", "/etc/apache2/conf-enabled/x.conf",
		"/usr/lib/systemd/system/review-executor-front.service", "/etc/systemd/system/x.service", "/run/systemd/system/x.service", "/usr/share/polkit-1/rules.d/x.rules", "/usr/bin/review-executor",
	} {
		all = append(all, "echo evil >>"+path, "unlink "+path, "mv /home/gitlab-runner/evil.conf "+path)
	}
	asRunner(t, h, append(all,
		"mv /var/lib/review-executor /var/lib/x", "mv "+vhosts+" "+vhosts+"2", "mkdir "+vhosts+"/x",
		"cat "+vhosts+"/.ticket-key", "cat "+vhosts+"/app-main.conf", "cat /etc/review-executor/htpasswd",
	)...)
}

// attackConfiguration has a configuration of the runner's own.
func attackConfiguration(t *testing.T, h *acceptance.Host) {
	own := strings.Replace(frontConfig, "[apache]", "[apache]\nhtpasswd = \"/home/gitlab-runner/evil.conf\"\nlogin = \"none\"\nconfigtest = [\"touch\", \"/root/pwned\"]\nreload = [\"touch\", \"/root/pwned\"]", 1)
	h.Write(t, "/home/gitlab-runner/evil.toml", own, "gitlab-runner:gitlab-runner", 0o644)
	h.RunAs(t, acceptance.Runner, "REVIEW_EXECUTOR_CONFIG=~/evil.toml review-executor front") // the unit has its own
	h.Run(t, "grep -q htpasswd /var/lib/review-front/vhosts/app-main.conf && ! grep -q evil /var/lib/review-front/vhosts/app-main.conf")
	for _, other := range []string{"apache2.service", "review-executor-front2.service", "rescue.service"} {
		h.Write(t, "/home/gitlab-runner/evil.toml", strings.Replace(frontConfig, "review-executor-front.service", other, 1), "gitlab-runner:gitlab-runner", 0o644)
		asRunner(t, h, "REVIEW_EXECUTOR_CONFIG=~/evil.toml review-executor front")
	}
	h.Write(t, "/home/gitlab-runner/evil.toml", strings.Replace(own, "front_unit", "#", 1), "gitlab-runner:gitlab-runner", 0o644)
	asRunner(t, h, "REVIEW_EXECUTOR_CONFIG=~/evil.toml review-executor front", "review-executor front --here", "REVIEW_EXECUTOR_CONFIG=~/evil.toml review-executor front --here")
	fails(t, h.Try("runuser -u review-front -- review-executor --config /home/gitlab-runner/evil.toml front --here; REVIEW_EXECUTOR_CONFIG=/home/gitlab-runner/evil.toml runuser -u review-front -- review-executor front --here"))
}

// attackRecords writes records that say more than they should.
func attackRecords(t *testing.T, h *acceptance.Host) {
	good := h.Run(t, "cat /var/lib/review-executor/apps/main.json")
	const include = "\nInclude /home/gitlab-runner/evil.conf\n"
	for what, change := range map[string]func(record, live map[string]any){
		"port of the host":       func(_, live map[string]any) { live["backend"] = "127.0.0.1:22" },
		"another machine":        func(_, live map[string]any) { live["backend"] = "192.0.2.1:8080" },
		"a socket":               func(_, live map[string]any) { live["backend"] = "unix:/run/dbus/system_bus_socket|http://x" },
		"backend and directive":  func(_, live map[string]any) { live["backend"] = "127.0.0.1:8080" + include },
		"host and directive":     func(record, _ map[string]any) { record["host"] = "evil.review.localhost" + include },
		"host of another":        func(record, _ map[string]any) { record["host"] = "main.review.localhost" },
		"host elsewhere":         func(record, _ map[string]any) { record["host"] = "www.example.org" },
		"name of another":        func(record, _ map[string]any) { record["name"] = "main" },
		"name and directive":     func(record, _ map[string]any) { record["name"] = "evil" + include },
		"project and directive":  func(record, _ map[string]any) { record["project"] = "group/x" + include },
		"release and directive":  func(_, live map[string]any) { live["id"] = "1111111-1\"" + include },
		"path and directive":     func(_, live map[string]any) { live["public_paths"] = []string{"/a" + include} },
		"path that is a pattern": func(_, live map[string]any) { live["public_paths"] = []string{"/.*"} },
		"too many paths":         func(_, live map[string]any) { live["public_paths"] = strings.Fields(strings.Repeat("/a ", 10_000)) },
		"files outside the state": func(_, live map[string]any) {
			live["static"], live["backend"], live["id"] = true, "", "../../../../etc"
		},
		"a version to come": func(record, _ map[string]any) { record["version"] = 99 },
	} {
		var record map[string]any
		if err := json.Unmarshal([]byte(good), &record); err != nil {
			t.Fatal(err)
		}
		record["name"], record["host"] = "evil", "evil.review.localhost"
		change(record, record["live"].(map[string]any))
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(t, "/var/lib/review-executor/apps/evil.json", string(text), "gitlab-runner:gitlab-runner", 0o640)
		if got := h.TryAs(acceptance.Runner, "review-executor front"); got.ExitCode == 0 || !strings.Contains(got.Stderr, "evil") {
			t.Errorf("%s: exit code %d\n%s", what, got.ExitCode, got.Stderr)
		}
		if got := h.Try("cd /var/lib/review-front/vhosts; ls app-evil.conf; grep -l 'home/gitlab-runner' *.conf"); got.Stdout != "" {
			t.Errorf("%s: %s", what, got.Stdout)
		}
	}
}

// attackLinks has the unit, which may read every file, read those of others.
func attackLinks(t *testing.T, h *acceptance.Host) {
	for _, dir := range []string{"apps", "attempts", "ended"} {
		for _, plant := range []string{
			"ln -s /root/secret.json %s/evil.json", "ln -s /root/damaged.json %s/evil.json", "ln -s ../../../../root/secret.json %s/evil.json",
			"ln -s /etc/shadow %s/evil.json", "ln -s /proc/self/environ %s/evil.json", "ln -s /dev/zero %s/evil.json",
			"mkfifo %s/evil.json", "mkdir %s/evil.json", "truncate -s 1T %s/evil.json",
			"mv %[1]s x && ln -s /root %[1]s", "mv %[1]s x && ln -s /etc %[1]s", "mv %[1]s x && mkfifo %[1]s",
		} {
			plant = fmt.Sprintf(plant, dir)
			got := h.TryAs(acceptance.Runner, "cd /var/lib/review-executor; mkdir -p "+dir+"; "+plant+" || exit 125; timeout 60 review-executor front; code=$?; cat /var/lib/review-front/vhosts/front.json; rm -rf "+dir+"/evil.json; if test -e x; then rm "+dir+" && mv x "+dir+"; fi; exit $code")
			if got.ExitCode > 1 || dir == "apps" && got.ExitCode == 0 {
				t.Errorf("%s: exit code %d\n%s", plant, got.ExitCode, got.Stderr)
			}
			if told := got.Stdout + got.Stderr; strings.Contains(told, canary) || strings.Contains(told, "root:") {
				t.Errorf("%s: %s", plant, told)
			}
		}
	}
	asRunner(t, h, "ln /etc/shadow apps/evil.json", "ln /etc/passwd apps/evil.json", "mknod apps/evil.json c 1 5")
}

// attackSites swaps the files of a static site after they were checked, so that it is
// Apache which must not follow.
func attackSites(t *testing.T, h *acceptance.Host) {
	const site = "/var/lib/review-executor/sites/evil/1111111-1"
	h.Write(t, "/var/lib/review-executor/apps/evil.json", `{"version": 2, "name": "evil", "host": "evil.review.localhost", "project_id": 1, "project": "group/x", "environment": "review/evil", "live": {"id": "1111111-1", "ref": "evil", "sha": "1", "job": 1, "static": true}}`, "gitlab-runner:gitlab-runner", 0o640)
	h.RunAs(t, acceptance.Runner, "mkdir -p "+site+" && echo mine >"+site+"/index.html && ln -s index.html "+site+"/link && review-executor front")
	if got := get(t, h, "evil", "/"); got != "200 mine\n" {
		t.Fatalf("a site of files serves %q", got)
	}
	if got := get(t, h, "evil", "/link"); got != "200 mine\n" {
		t.Errorf("a link among the files serves %q", got)
	}
	h.Run(t, "mkdir -p /var/www/evil/1111111-1 && echo theirs | tee /var/www/evil/1111111-1/file /var/www/evil/file /var/www/file")
	for swap, path := range map[string]string{
		"ln -s /var/www/file " + site + "/file":                                   "/file",
		"ln -s /var/www " + site + "/dir":                                         "/dir/file",
		"ln -s ../../../../../var/www/file " + site + "/up":                       "/up",
		"rm -r " + site + " && ln -s /var/www " + site:                            "/file",
		"cd $(dirname " + site + ")/.. && rm -r evil && ln -s /var/www/evil evil": "/file",
		"cd /var/lib/review-executor && mv sites x && ln -s /var/www sites":       "/file",
	} {
		h.RunAs(t, acceptance.Runner, swap)
		if got := get(t, h, "evil", path); strings.Contains(got, "theirs") || strings.HasPrefix(got, "200") {
			t.Errorf("%s: %s", swap, got)
		}
		h.RunAs(t, acceptance.Runner, "cd /var/lib/review-executor; if test -e x; then rm sites; mv x sites; fi; rm -rf sites/evil; mkdir -p "+site)
	}
	for _, path := range []string{"/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/.%2e/.%2e/apps/main.json"} {
		if got := get(t, h, "evil", path); strings.HasPrefix(got, "200") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// attackAsFront is the front's own user, who may reload Apache and no more.
func attackAsFront(t *testing.T, h *acceptance.Host) {
	h.Run(t, "runuser -u review-front -- systemctl --no-ask-password reload apache2.service")
	for _, command := range []string{
		"restart apache2.service", "stop apache2.service", "start apache2.service", "kill apache2.service", "reload-or-restart apache2.service",
		"reload ssh.service", "start review-executor-front.service", "daemon-reload", "set-environment A=b", "set-property apache2.service MemoryMax=1",
	} {
		fails(t, h.Try("runuser -u review-front -- systemctl --no-ask-password "+command))
	}
	fails(t, h.Try("runuser -u review-front -- touch /var/lib/review-executor/apps/x"))
	fails(t, h.Try("runuser -u review-front -- cat /var/lib/review-executor/apps/main.json")) // only its unit has the right to
}
