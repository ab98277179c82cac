package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits bounds what apps may take of the host.
type Limits struct {
	// Apps that this host may have. A deploy of one more is refused. 0 is no limit.
	Apps int `toml:"apps"`
	// Apps that one project may have. 0 is no limit.
	AppsPerProject int `toml:"apps_per_project"`
	// How long an app may take to become healthy, unless the project says otherwise with REVIEW_HEALTH_TIMEOUT.
	HealthTimeout time.Duration `toml:"health_timeout"`
	// How long the build of an image may take.
	BuildTimeout time.Duration `toml:"build_timeout"`
	// Disk that the layers of earlier builds may hold which no app uses: they make the next builds quick. "0" is no limit.
	BuildCache Bytes `toml:"build_cache"`
	// How long a REVIEW_RELEASE_COMMAND may take.
	ReleaseTimeout time.Duration `toml:"release_timeout"`
	// How long the release before may take to finish its requests after a redeploy: long answers and WebSockets too.
	Drain time.Duration `toml:"drain"`
	// How long a container may take to end after its stop signal.
	StopGrace time.Duration `toml:"stop_grace"`
	// Disk of Podman's store that stays free. A deploy or a sync that finds less removes what builds have left, and a deploy is refused if that is not enough. "0" is no limit.
	DiskReserve Bytes `toml:"disk_reserve"`
	// Memory of the host that stays free. A deploy or a sync that finds less sends apps to sleep that nobody is connected to, the least recently used first, if there is a supervisor, and a deploy is refused if that is not enough. "0" is no limit.
	MemoryReserve Bytes `toml:"memory_reserve"`
	// How long an app may have no connection before it sleeps, until its next request: "1h", or "never". Apps sleep only with supervisor = "systemd".
	SleepAfter SleepAfter `toml:"sleep_after"`
	// The longest that a project may choose with REVIEW_SLEEP_AFTER; "never" lets it choose that, too.
	SleepAfterMax SleepAfter `toml:"sleep_after_max"`
	// How much the files of one static site may hold; each counts 4KiB more.
	StaticSize Bytes `toml:"static_size"`
}

// LimitDefaults suit one host for a few teams.
func LimitDefaults() Limits {
	return Limits{
		Apps:           2000,
		AppsPerProject: 200,
		HealthTimeout:  2 * time.Minute,
		BuildTimeout:   30 * time.Minute,
		BuildCache:     20 << 30,
		ReleaseTimeout: 10 * time.Minute,
		Drain:          10 * time.Second,
		StopGrace:      10 * time.Second,
		DiskReserve:    1 << 30,
		MemoryReserve:  256 << 20,
		SleepAfter:     SleepAfter(time.Hour),
		SleepAfterMax:  SleepAfter(24 * time.Hour),
		StaticSize:     1 << 30,
	}
}

// Problems lists everything that is wrong, by key.
func (l Limits) Problems() []error {
	var problems []error
	for key, value := range map[string]time.Duration{
		"health_timeout": l.HealthTimeout, "build_timeout": l.BuildTimeout, "release_timeout": l.ReleaseTimeout, "drain": l.Drain, "stop_grace": l.StopGrace,
	} {
		if value <= 0 || value > time.Hour {
			problems = append(problems, fmt.Errorf("limits.%s: must be more than nothing and at most 1h, not %s", key, value))
		}
	}
	for key, value := range map[string]int{"apps": l.Apps, "apps_per_project": l.AppsPerProject} {
		if value < 0 {
			problems = append(problems, fmt.Errorf("limits.%s: must be 0 or more, not %d", key, value))
		}
	}
	for key, value := range map[string]SleepAfter{"sleep_after": l.SleepAfter, "sleep_after_max": l.SleepAfterMax} {
		if value != Never && (time.Duration(value) < shortestSleep || time.Duration(value) > longestSleep) {
			problems = append(problems, fmt.Errorf(`limits.%s: must be a time from 1s to 720h such as "90m", or "never", not %s`, key, value))
		}
	}
	if l.StaticSize <= 0 {
		problems = append(problems, fmt.Errorf("limits.static_size: must be more than nothing, not %s", l.StaticSize))
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// isolation is the host's, with the limits that the project has chosen below it.
func (d *deploy) isolation() Isolation {
	i := d.Isolation
	if m := d.next.Memory; m != 0 && (i.Memory == 0 || m < i.Memory) {
		i.Memory = m
	}
	if c := d.next.CPUs; c != 0 && (i.CPUs == 0 || c < i.CPUs) {
		i.CPUs = c
	}
	return i
}

// checkLimits refuses limits above the host's.
func (d *deploy) checkLimits() error {
	var problems []error
	if m := d.next.Memory; d.Isolation.Memory != 0 && m > d.Isolation.Memory {
		problems = append(problems, fmt.Errorf("REVIEW_MEMORY is %s; this host gives an app at most %s", m, d.Isolation.Memory))
	}
	if c := d.next.CPUs; d.Isolation.CPUs != 0 && c > d.Isolation.CPUs {
		problems = append(problems, fmt.Errorf("REVIEW_CPUS is %v; this host gives an app at most %v", c, d.Isolation.CPUs))
	}
	if s := d.next.SleepAfter; d.supervises(d.next) && s != 0 && s.beyond(d.Limits.SleepAfterMax) && s.beyond(d.Limits.SleepAfter) {
		problems = append(problems, fmt.Errorf("REVIEW_SLEEP_AFTER is %s; this host lets an app sleep after %s at the latest", s, d.Limits.SleepAfterMax))
	}
	if len(problems) == 0 {
		return nil
	}
	return &Failure{
		Kind:  Build,
		What:  "the app asks for more than this host gives",
		Cause: errors.Join(problems...),
		State: "nothing was changed",
		Hint:  "ask for less, or ask the host's administrator to raise isolation.memory, isolation.cpus or limits.sleep_after_max",
	}
}
