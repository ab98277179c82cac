package review

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	firstProbes  = 20 * time.Millisecond // between the first, and twice as long each time
	probeEvery   = 200 * time.Millisecond
	probeTimeout = 5 * time.Second // one answer
	lastLines    = 50              // of the app's log, in a failure
)

// reachable is how long an app may listen in its container without being reached
// from outside.
var reachable = 10 * time.Second

// waitHealthy returns once the new container answers as it should: its image's
// HEALTHCHECK if there is one, else an HTTP status from 200 to 399.
func (d *deploy) waitHealthy(ctx context.Context) error {
	if d.next.Static {
		return nil
	}
	started := time.Now()
	timeout := cmp.Or(d.next.HealthTimeout, d.Limits.HealthTimeout)
	probe := d.probeHTTP
	if d.image.HealthCheck {
		probe = d.probeHealthCheck
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	answer := ""
	again := started.Add(reachable)
	for pause := firstProbes; ; pause = min(2*pause, probeEvery) {
		healthy, got := probe(limited)
		if healthy {
			d.log.Step("health", "%s after %s", got, Since(started))
			return nil
		}
		if limited.Err() == nil || answer == "" {
			answer = got
		}
		if limited.Err() == nil {
			if err := d.stillRunning(limited); err != nil {
				return err
			}
			if time.Now().After(again) && !strings.Contains(got, " answered ") && !d.image.HealthCheck {
				again = started.Add(timeout) // once
				if err := d.reconnect(limited); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return d.unhealthy(ctx, timeout, answer)
		case <-time.After(pause):
		}
	}
}

// reconnect makes the container anew if the app listens and is not reached: when
// networks of other containers go at the same moment, Podman before 4.4 may lose
// the way to one.
func (d *deploy) reconnect(ctx context.Context) error {
	listens, err := d.Containers.Listens(ctx, d.id, []uint16{d.next.Port})
	if err != nil || !listens {
		return nil //nolint:nilerr // the next probes tell more
	}
	d.log.Line("WARNING: the app listens on port %d but %s does not reach it; starting it once more", d.next.Port, d.address)
	this := map[string]string{LabelApp: d.app.Name, LabelRole: RoleApp, LabelRelease: d.next.ID}
	if err := d.Containers.Remove(ctx, this, 0); err != nil {
		return err
	}
	return d.startOn(ctx, 0)
}

// probeHTTP asks the app for its health path as the front would.
func (d *deploy) probeHTTP(ctx context.Context) (bool, string) {
	path := cmp.Or(d.next.HealthPath, "/")
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address+path, nil)
	if err != nil {
		return false, err.Error()
	}
	scheme, _, _ := strings.Cut(d.Front.URL(d.app.Host), ":")
	req.Host = d.app.Host
	req.Header.Set("X-Forwarded-Proto", scheme)
	req.Header.Set("User-Agent", "review-executor")
	resp, err := prober.Do(req)
	switch {
	case ctx.Err() != nil: // connected, and then nothing
		return false, fmt.Sprintf("GET %s: no answer", path)
	case err != nil:
		return false, fmt.Sprintf("GET %s: %v", path, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	return resp.StatusCode >= 200 && resp.StatusCode < 400, fmt.Sprintf("GET %s answered %d", path, resp.StatusCode)
}

// prober neither follows redirects nor keeps connections.
var prober = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (d *deploy) probeHealthCheck(ctx context.Context) (bool, string) {
	healthy, output, err := d.Containers.CheckHealth(ctx, d.id)
	switch {
	case err != nil:
		return false, fmt.Sprintf("the image's health check could not run: %v", err)
	case healthy:
		return true, "the image's health check passed"
	default:
		return false, "the image's health check said: " + strings.TrimSpace(output)
	}
}

// stillRunning fails as soon as the app has ended: waiting longer would not
// bring it back.
func (d *deploy) stillRunning(ctx context.Context) error {
	state, err := d.Containers.State(ctx, d.id)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if state.Running && state.Restarts == 0 {
		return nil
	}
	lines, hint := d.lastLines(ctx)
	if memory := d.isolation().Memory; state.OutOfMemory || (state.ExitCode == killed && memory != 0) {
		hint = fmt.Sprintf("it was killed, most likely for memory: it may use %s, see REVIEW_MEMORY; the host's administrator can raise isolation.memory", memory)
	}
	return &Failure{
		Kind:  Build,
		What:  fmt.Sprintf("review app %q ended before it was healthy", d.app.Name),
		Lines: append([]string{fmt.Sprintf("its container exited with code %d; its last lines:", state.ExitCode)}, lines...),
		Hint:  hint,
	}
}

// killed is the exit code of what SIGKILL has ended.
const killed = 128 + 9

func (d *deploy) unhealthy(ctx context.Context, timeout time.Duration, answer string) error {
	lines, _ := d.lastLines(ctx)
	hint := "the app must listen on all addresses (0.0.0.0) at $PORT; see REVIEW_PORT and REVIEW_HEALTH_TIMEOUT"
	switch {
	case d.image.HealthCheck:
		hint = "the image's HEALTHCHECK must end with 0 within REVIEW_HEALTH_TIMEOUT"
	case strings.Contains(answer, " answered "):
		hint = "name a path that answers without a login, with a status from 200 to 399, in REVIEW_HEALTH_PATH"
	}
	return &Failure{
		Kind:  Build,
		What:  fmt.Sprintf("review app %q was not healthy within %s", d.app.Name, timeout),
		Lines: append([]string{"the last answer: " + answer, "its last lines:"}, lines...),
		Hint:  hint,
	}
}

func (d *deploy) lastLines(ctx context.Context) (lines []string, hint string) {
	lines, err := d.Containers.Logs(ctx, d.id, lastLines)
	if err != nil {
		lines = []string{fmt.Sprintf("(its log cannot be read: %v)", err)}
	}
	if len(lines) == 0 {
		lines = []string{"(it wrote nothing)"}
	}
	for i, line := range lines {
		lines[i] = "| " + line
	}
	return lines, `variables for the app are set as REVIEW_ENV_<NAME> under "variables:" in this job`
}
