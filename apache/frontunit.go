package apache

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"gitlab.com/review-executor/review-executor/review"
)

// unitTimeout bounds the wait for two runs: one that goes on, and the next.
const unitTimeout = 10 * time.Minute

// FrontUnit is the systemd unit that runs the front. It implements review.FrontUnit.
type FrontUnit struct {
	name    string
	results string
}

var _ review.FrontUnit = (*FrontUnit)(nil)

// NewFrontUnit is the unit that cfg names.
func NewFrontUnit(cfg Config) *FrontUnit {
	return &FrontUnit{name: cfg.FrontUnit, results: cfg.Results()}
}

// Results is where the runs of the front tell what became of them: everybody may
// read it, and Apache includes only what ends in .conf.
func (c Config) Results() string { return filepath.Join(c.VhostDir, "front.json") }

// Results is explained at review.FrontUnit.
func (u *FrontUnit) Results() string { return u.results }

// Start starts the unit over the system's D-Bus. A start of a unit that is being
// started joins that.
func (u *FrontUnit) Start(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, unitTimeout)
	defer cancel()
	result, err := job(ctx, func(conn *dbus.Conn, result chan<- string) error {
		_, err := conn.StartUnitContext(ctx, u.name, "replace", result)
		return err
	})
	if err != nil {
		return "", u.notStarted(err)
	}
	return result, nil
}

// notStarted says who has to do what before the unit can be started.
func (u *FrontUnit) notStarted(err error) error {
	return &review.Failure{
		What:  fmt.Sprintf("the unit that writes Apache's virtual hosts, %s, could not be started", u.name),
		Cause: err,
		Hint:  "not your branch: the host's administrator should " + u.toStart(err),
	}
}

func (u *FrontUnit) toStart(err error) string {
	var answer godbus.Error
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("see what it waits for: systemctl status %s", u.name)
	}
	if !errors.As(err, &answer) {
		return "see whether systemd and D-Bus run here; on a host without them, apache.front_unit stays empty"
	}
	switch name := answer.Name; {
	case strings.HasSuffix(name, ".NoSuchUnit"), strings.HasSuffix(name, ".LoadFailed"), strings.HasSuffix(name, ".UnitMasked"):
		return fmt.Sprintf("see why systemd has no such unit, which apache.front_unit names: systemctl status %s", u.name)
	case strings.HasSuffix(name, ".AccessDenied"), strings.HasSuffix(name, ".InteractiveAuthorizationRequired"), strings.Contains(name, "PolicyKit"):
		return "see that polkit runs and has the rule that lets the runner's user start this unit, 50-review-executor-runner.rules"
	}
	return fmt.Sprintf("read what it says: journalctl -u %s", u.name)
}

// Unfinished is explained at review.FrontUnit.
func (u *FrontUnit) Unfinished(result string) error {
	return &review.Failure{
		What:  fmt.Sprintf("the unit that writes Apache's virtual hosts, %s, has not told what became of its run", u.name),
		Cause: fmt.Errorf("systemd says %q of it, and %s tells of no run since", result, u.results),
		Hint:  fmt.Sprintf("not your branch: the host's administrator should read what it says: journalctl -u %s", u.name),
	}
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}[.]service$`)

func checkService(name string) error {
	if name != "" && !serviceName.MatchString(name) {
		return fmt.Errorf("%q is no name of a service such as review-executor-front.service", name)
	}
	return nil
}
