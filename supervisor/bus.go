package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"gitlab.com/review-executor/review-executor/review"
)

// jobTimeout bounds jobs of systemd that wait for no app.
const jobTimeout = 2 * time.Minute

// connect returns a connection to the user's systemd.
func (s *Systemd) connect(ctx context.Context) (*systemd.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.conn.Connected() {
		return s.conn, nil
	}
	address := "unix:path=" + filepath.Join(s.RuntimeDir, "bus")
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) {
		// The connection outlives the call that it is made for.
		conn, err := dbus.Dial(address, dbus.WithContext(context.WithoutCancel(ctx)))
		if err != nil {
			return nil, err
		}
		if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
			_ = conn.Close()
			return nil, err
		}
		if err := conn.Hello(); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	})
	if err != nil {
		return nil, &review.Failure{
			What:  "the systemd of this user cannot be reached",
			Cause: fmt.Errorf("%s: %w", address, err),
			Hint:  fmt.Sprintf("not your branch: the host's administrator should run \"loginctl enable-linger %d\", or take supervisor out of the configuration", os.Getuid()),
		}
	}
	s.conn = conn
	return conn, nil
}

// oldest is the first version of systemd that can confine what a user who is not root runs,
// and bounds how often a socket is looked at.
const oldest = 255

// recent refuses a systemd that cannot run the units.
func recent(conn *systemd.Conn) error {
	text, err := conn.GetManagerProperty("Version")
	if err != nil {
		return fmt.Errorf("version of systemd: %w", err)
	}
	if version := versionOf(text); version < oldest {
		return &review.Failure{
			What: fmt.Sprintf("the systemd of this host is version %d, and apps that sleep need %d", version, oldest),
			Hint: "not your branch: the host's administrator should take supervisor out of the configuration, or have Debian 13",
		}
	}
	return nil
}

var firstNumber = regexp.MustCompile(`[0-9]+`)

// versionOf reads what systemd says of its version: "257.9-1~deb13u1", or "v258~rc1".
func versionOf(text string) int {
	version, _ := strconv.Atoi(firstNumber.FindString(text))
	return version
}

// job is a method of systemd that queues one.
type job func(ctx context.Context, name, mode string, done chan<- string) (int, error)

// run queues a job and returns when it is done.
func run(ctx context.Context, do job, what, unit string) error {
	done := make(chan string, 1)
	if _, err := do(ctx, unit, "replace", done); err != nil {
		return fmt.Errorf("%s %s: %w", what, unit, err)
	}
	select {
	case result := <-done:
		if result != "done" {
			return &jobError{what, unit, result}
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s %s: %w", what, unit, ctx.Err())
	}
}

// jobError is a job that has ended otherwise than done.
type jobError struct{ what, unit, result string }

func (e *jobError) Error() string {
	return fmt.Sprintf("%s %s: systemd says %q", e.what, e.unit, e.result)
}

// unknown tells whether systemd knows no such unit.
func unknown(err error) bool {
	var answer dbus.Error
	return errors.As(err, &answer) && answer.Name == "org.freedesktop.systemd1.NoSuchUnit"
}
