package apache

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	unit = "apache2.service" // Debian's

	// commandTimeout bounds configtest and reload; 5,000 hosts take half a second.
	commandTimeout = time.Minute
)

// verdict is Apache's refusal of its configuration.
type verdict struct {
	file   string // base name of the file in our directory that it names, or ""
	output string
}

func (v *verdict) Error() string { return v.output }

// syntaxError is how Apache names the place of an error: "AH00526: Syntax
// error on line 12 of /etc/apache2/x.conf:".
var syntaxError = regexp.MustCompile(`(?m)on line \d+ of (.+?):\s*$`)

// configtest returns nil if Apache accepts its whole configuration.
func (f *Front) configtest(ctx context.Context) (*verdict, error) {
	output, err := command(ctx, f.cfg.Configtest)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("apache configtest: %w", err)
	}
	if err == nil {
		return nil, nil
	}
	v := &verdict{output: output}
	if found := syntaxError.FindStringSubmatch(output); found != nil && sameDir(filepath.Dir(found[1]), f.cfg.VhostDir) {
		v.file = filepath.Base(found[1])
	}
	return v, nil
}

func sameDir(a, b string) bool {
	a, errA := filepath.EvalSymlinks(a)
	b, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && a == b
}

// reload makes Apache take its configuration. Requests on their way are
// answered by the old one.
func (f *Front) reload(ctx context.Context) error {
	var err error
	if f.cfg.Reload.Command == nil {
		err = reloadUnit(ctx)
	} else {
		var output string
		output, err = command(ctx, f.cfg.Reload.Command)
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, output)
		}
	}
	if err == nil {
		return nil
	}
	return &review.Failure{
		What:  "Apache could not be reloaded",
		Cause: err,
		State: "the previous configuration is still serving",
		Hint:  "not your branch: show this to the host's administrator",
	}
}

func reloadUnit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	got, err := job(ctx, func(conn *dbus.Conn, result chan<- string) error {
		_, err := conn.ReloadUnitContext(ctx, unit, "replace", result)
		return err
	})
	if err == nil && got != "done" {
		err = errors.New(got)
	}
	if err != nil {
		return fmt.Errorf("reload %s: %w", unit, err)
	}
	return nil
}

// job has systemd do something and returns the result of that: "done", "failed",
// "timeout" and others.
func job(ctx context.Context, begin func(conn *dbus.Conn, result chan<- string) error) (string, error) {
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return "", fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	result := make(chan string, 1)
	if err := begin(conn, result); err != nil {
		return "", err
	}
	select {
	case got := <-result:
		return got, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func command(ctx context.Context, argv []string) (output string, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return strings.TrimSpace(string(out)), err
}
