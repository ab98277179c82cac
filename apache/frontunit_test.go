package apache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"gitlab.com/review-executor/review-executor/review"
)

func TestFrontUnit_SaysWhoHasToDoWhat(t *testing.T) {
	cfg := Defaults()
	cfg.FrontUnit = "review-executor-front.service"
	u := NewFrontUnit(cfg)
	answer := func(name string) error { return godbus.Error{Name: name, Body: []any{"no"}} }
	for want, err := range map[string]error{
		"systemctl status review-executor-front.service":        answer("org.freedesktop.systemd1.NoSuchUnit"),
		"systemctl status review-executor-front.service ":       answer("org.freedesktop.systemd1.UnitMasked"),
		"50-review-executor-runner.rules":                       answer("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"),
		"50-review-executor-runner.rules ":                      answer("org.freedesktop.DBus.Error.AccessDenied"),
		"journalctl -u review-executor-front.service":           answer("org.freedesktop.DBus.Error.Failed"),
		"systemctl status review-executor-front.service\n":      fmt.Errorf("wait: %w", context.DeadlineExceeded),
		"on a host without them, apache.front_unit stays empty": errors.New("connect to systemd: no such file"),
	} {
		failure := review.AsFailure(u.notStarted(err))
		if !strings.Contains(failure.Hint, strings.TrimSpace(want)) || failure.Cause == nil {
			t.Errorf("%v: %s", err, failure.Text())
		}
	}
	failure := review.AsFailure(u.Unfinished("timeout"))
	if text := failure.Text(); !strings.Contains(text, "timeout") || !strings.Contains(text, "journalctl -u review-executor-front.service") {
		t.Error(text)
	}
}

func TestConfig_FrontUnitIsAService(t *testing.T) {
	for unit, fine := range map[string]bool{
		"": true, "review-executor-front.service": true, "front@a.service": true,
		"front": false, "front.socket": false, "../x.service": false, "a b.service": false, ".service": false,
	} {
		cfg := Defaults()
		cfg.FrontUnit = unit
		if problems := cfg.Problems(); (len(problems) == 0) != fine {
			t.Errorf("%q: %v", unit, problems)
		}
	}
}
