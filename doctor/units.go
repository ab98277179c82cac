package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// systemd tells whether systemd runs this host.
func systemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// unit is what systemd tells of one.
type unit map[string]string

// ask asks systemd for properties of a unit.
func ask(ctx context.Context, name string, properties ...string) (unit, error) {
	stdout, err := program(ctx, "systemctl", "show", name, "--property="+strings.Join(properties, ","))
	return propertiesOf(stdout), err
}

func propertiesOf(text string) unit {
	u := unit{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		u[key] = value
	}
	return u
}

// Units checks that no unit of ours has failed: those of the host, and the runner's user's.
func (h Host) Units(ctx context.Context) []Finding {
	if !systemd() {
		return skip("there is no systemd")
	}
	var found []Finding
	hosts, err := program(ctx, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "review-executor*", "gitlab-runner*", "apache2*")
	if err != nil {
		return skip("systemd does not answer: %v", err)
	}
	for _, name := range firstWords(hosts) {
		found = append(found, fail(name+" has failed: "+lastWords(name), "systemctl reset-failed "+Quote(name), "systemctl start "+Quote(name))...)
	}
	if h.User.isRoot() {
		return orOK(found, "none has failed")
	}
	users, err := h.systemctl(ctx, "list-units", "--failed", "--plain", "--no-legend", "review-*", "podman*")
	if err != nil {
		return append(found, skip("the systemd of %s does not answer: %v", h.User.Name, err)...)
	}
	for _, name := range firstWords(users) {
		found = append(found, fail(fmt.Sprintf("%s of %s has failed", name, h.User.Name), h.User.Systemctl("reset-failed", name), h.User.Systemctl("start", name))...)
	}
	return orOK(found, "none has failed")
}

// lastWords is the command that tells why.
func lastWords(name string) string { return "see journalctl -u " + Quote(name) }

func firstWords(text string) []string {
	var words []string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(strings.TrimLeft(line, "●* ")); len(fields) > 0 {
			words = append(words, fields[0])
		}
	}
	return words
}

// SyncTimer is the unit that ends apps and heals the host.
const SyncTimer = "review-executor-sync.timer"

// late is how long ago the last sync may have been; it runs every two minutes, and may wait
// for a GitLab that does not answer.
const late = 30 * time.Minute

// Sync checks that sync runs by itself, and when it last has.
func (h Host) Sync(ctx context.Context) []Finding {
	if !systemd() {
		return skip("there is no systemd; something else has to run %q", strings.Join(h.own("sync"), " "))
	}
	timer, err := ask(ctx, SyncTimer, "LoadState", "ActiveState", "UnitFileState", "LastTriggerUSec")
	switch {
	case err != nil:
		return skip("systemd does not answer: %v", err)
	case timer["LoadState"] == "masked":
		return fail(SyncTimer+" is masked: no app ends by itself, and nothing heals", unmask(SyncTimer), "systemctl enable --now "+SyncTimer)
	case timer["LoadState"] != "loaded":
		return fail("there is no "+SyncTimer+": no app ends by itself, and nothing heals", h.timerUnits(), "systemctl daemon-reload && systemctl enable --now "+SyncTimer)
	case timer["ActiveState"] != "active", timer["UnitFileState"] != "enabled":
		return fail(fmt.Sprintf("%s is %s and %s: no app ends by itself, and nothing heals", SyncTimer, timer["ActiveState"], timer["UnitFileState"]), "systemctl enable --now "+SyncTimer)
	}
	last, err := time.Parse("Mon 2006-01-02 15:04:05 MST", timer["LastTriggerUSec"])
	if err != nil {
		return ok("%s is active; it has not run yet", SyncTimer)
	}
	if ago := h.Now.Sub(last).Round(time.Second); ago > late {
		return fail(fmt.Sprintf("the last sync began %s ago", ago), "systemctl restart "+SyncTimer, "systemctl start review-executor-sync.service")
	}
	return ok("%s is active; the last sync began %s ago", SyncTimer, max(h.Now.Sub(last).Round(time.Second), 0))
}

// timerUnits is for root's shell: it writes the units that docs/lifecycle.md has.
func (h Host) timerUnits() string {
	service := fmt.Sprintf(`[Service]\nType=oneshot\nUser=%s\nExecStart=%s\n`, h.User.Name, strings.Join(h.own("sync"), " "))
	const timer = `[Timer]\nOnBootSec=30s\nOnUnitInactiveSec=2min\n\n[Install]\nWantedBy=timers.target\n`
	const dir = "/etc/systemd/system/review-executor-sync."
	return "printf " + Quote(service) + " > " + dir + "service && printf " + Quote(timer) + " > " + dir + "timer"
}

// Enabled checks that a unit of the host is there, runs, and does so after a reboot.
func Enabled(name, without string) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if !systemd() {
			return skip("there is no systemd")
		}
		u, err := ask(ctx, name, "LoadState", "ActiveState", "UnitFileState")
		switch {
		case err != nil:
			return skip("systemd does not answer: %v", err)
		case u["LoadState"] == "masked":
			return fail(name+" is masked: "+without, unmask(name), "systemctl enable --now "+name)
		case u["LoadState"] != "loaded":
			return fail("there is no "+name+": "+without, reinstall)
		case u["ActiveState"] != "active":
			return fail(fmt.Sprintf("%s is %s: %s", name, u["ActiveState"], without), "systemctl enable --now "+name)
		case u["UnitFileState"] == "disabled":
			return fail(fmt.Sprintf("%s runs, and will not after a reboot: %s", name, without), "systemctl enable "+name)
		}
		return ok("%s is active", name)
	}
}

// Front checks the unit that renders Apache's virtual hosts, and who may start it. reload tells
// whether it reloads Apache through systemd, for which its user needs the right.
func (h Host) Front(name string, reload bool) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if name == "" {
			return skip("apache.front_unit is not set; virtual hosts are written by the user that deploys")
		}
		if !systemd() {
			return fail("apache.front_unit is set and there is no systemd to start it")
		}
		u, err := ask(ctx, name, "LoadState", "User")
		switch {
		case err != nil:
			return skip("systemd does not answer: %v", err)
		case u["LoadState"] == "masked":
			return fail(name+" is masked: no deploy can be published", unmask(name))
		case u["LoadState"] != "loaded":
			return fail("there is no "+name+": no deploy can be published", reinstall)
		}
		found := h.polkit(ctx, h.User, name, "start")
		if !reload {
			return orOK(found, "%s may start %s", h.User.Name, name)
		}
		return orOK(append(found, h.frontUser(ctx, u["User"])...), "%s may start %s, which may reload apache2.service", h.User.Name, name)
	}
}

// frontUser checks that the user of the front may reload Apache.
func (h Host) frontUser(ctx context.Context, name string) []Finding {
	user, err := lookupUser(name)
	if err != nil {
		return fail(fmt.Sprintf("the user of the front, %s, is not there", name), "systemd-sysusers")
	}
	return h.polkit(ctx, user, "apache2.service", "reload")
}

// polkit checks that the user may have systemd do that. Only root can ask about others.
func (h Host) polkit(ctx context.Context, user User, name, verb string) []Finding {
	if !h.Root || user.isRoot() {
		return nil
	}
	held, end, err := hold(ctx, user)
	if err != nil {
		return fail(err.Error())
	}
	defer end()
	_, err = program(ctx, "pkcheck", "--action-id", "org.freedesktop.systemd1.manage-units", "--process", strconv.Itoa(held), "--detail", "unit", name, "--detail", "verb", verb)
	if err == nil {
		return nil
	}
	seen := fmt.Sprintf("polkit does not let %s %s %s: no deploy can be published", user.Name, verb, name)
	rule, file := reloadRule(user.Name, name), "50-review-executor-front.rules"
	if verb == "start" {
		u, err := ask(ctx, name, "FragmentPath")
		if err != nil || u["FragmentPath"] == "" {
			return fail(seen)
		}
		rule, file = startRule(user.Name, name, u["FragmentPath"]), "50-review-executor-runner.rules"
	}
	return fail(seen,
		"printf '%s\\n' "+Quote(rule)+" > /etc/polkit-1/rules.d/"+file, "systemctl restart polkit.service")
}

// reloadRule is polkit's, as packaging/polkit has it: the user may reload the unit.
func reloadRule(user, unit string) string {
	return fmt.Sprintf(`polkit.addRule(function (action, subject) { if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == %q && action.lookup("unit") == %q && action.lookup("verb") == "reload") { return polkit.Result.YES; } });`, user, unit)
}

// startRule is polkit's, as packaging/polkit has it: the user may start the unit while its file
// is there. Without that, who may start it might make one of its own under that name.
func startRule(user, unit, file string) string {
	return fmt.Sprintf(`polkit.addRule(function (action, subject) { if (action.id != "org.freedesktop.systemd1.manage-units" || subject.user != %q || action.lookup("unit") != %q || action.lookup("verb") != "start") { return polkit.Result.NOT_HANDLED; } try { polkit.spawn(["/usr/bin/test", "-s", %q]); return polkit.Result.YES; } catch (error) { return polkit.Result.NO; } });`, user, unit, file)
}

// unmask is for root's shell. A mask may be there for good, or until the next boot.
func unmask(name string) string {
	return "systemctl unmask " + Quote(name) + " && systemctl unmask --runtime " + Quote(name)
}

// reinstall brings back what the package brings, which no repository of Debian's has.
const reinstall = "# apt-get install --reinstall ./review-executor_*.deb, from where you have the package"
