package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// Lifetime decides when apps end by themselves.
type Lifetime struct {
	// How long an app stays without a new deploy. "0" is for ever.
	MaxAge time.Duration `toml:"max_age"`
	// Whether an app goes when its merge request is merged, although its branch stays.
	Merged bool `toml:"merged"`
	// Whether an app goes when its merge request is closed, although its branch stays.
	Closed bool `toml:"closed"`
	// How long a project must not be found before its apps go: a token that may not see it gets the same answer. Without waiting if the token is an administrator's.
	MissingProject time.Duration `toml:"missing_project"`
	// How many of all apps, in percent, one sync may stop without --yes; 3 apps in any case.
	SyncShare int `toml:"sync_share"`
}

// LifetimeDefaults follow the branch and the merge request, and forget what nobody
// has touched for a month.
func LifetimeDefaults() Lifetime {
	return Lifetime{MaxAge: 30 * 24 * time.Hour, Merged: true, Closed: true, MissingProject: 72 * time.Hour, SyncShare: 25}
}

// Problems lists everything that is wrong, by key.
func (l Lifetime) Problems() []error {
	var problems []error
	if l.MaxAge != 0 && l.MaxAge < time.Hour {
		problems = append(problems, fmt.Errorf("lifetime.max_age: must be 1h or more, or 0, not %s", l.MaxAge))
	}
	if l.MissingProject < time.Hour {
		problems = append(problems, fmt.Errorf("lifetime.missing_project: must be 1h or more, not %s", l.MissingProject))
	}
	if l.SyncShare < 0 || l.SyncShare > 100 {
		problems = append(problems, fmt.Errorf("lifetime.sync_share: must be 0 to 100, not %d", l.SyncShare))
	}
	return problems
}

// settling is how long after a deploy GitLab may still have the environment as it
// was before: it changes that only when the deploying job is over.
const settling = 10 * time.Minute

// asked is when somebody wanted the release: what ended before then has not ended it.
func (r Release) asked() time.Time {
	if !r.Requested.IsZero() {
		return r.Requested
	}
	return r.Deployed
}

// tooOld tells why the app's time on this host is over; "": it is not.
func (l Lifetime) tooOld(r Record, now time.Time) string {
	if r.Pinned || l.MaxAge == 0 || now.Sub(r.Live.Deployed) <= l.MaxAge {
		return ""
	}
	return fmt.Sprintf("it was deployed %s, more than %s ago", r.Live.Deployed.Format(time.DateOnly), days(l.MaxAge))
}

func days(d time.Duration) string {
	if d%(24*time.Hour) != 0 {
		return d.String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// ended tells why an app has ended by what the forge knows; "": it has not. The
// survey is of its project or of itself; a Missing project is not looked at.
func (l Lifetime) ended(r Record, s Survey, now time.Time) string {
	if r.Pinned || s.Missing {
		return ""
	}
	if s.Closed {
		return fmt.Sprintf("project %s is archived or about to be deleted", r.Project)
	}
	if b := r.Live.Branch; b != "" && !s.Branches[b] {
		return fmt.Sprintf("branch %q was deleted", Printable(b, 80))
	}
	if why := l.mergeRequestEnded(r.Live, s.MergeRequests); why != "" {
		return why
	}
	return environmentEnded(r, s, now)
}

func environmentEnded(r Record, s Survey, now time.Time) string {
	e, there := s.Environments[r.Environment]
	switch {
	case !there:
		return fmt.Sprintf("environment %q was stopped or deleted", Printable(r.Environment, 80))
	case e.State != "available" && (e.Updated.After(r.Live.Deployed) || now.Sub(r.Live.Deployed) > settling):
		return fmt.Sprintf("environment %q was stopped", Printable(r.Environment, 80))
	case !e.AutoStop.IsZero() && now.After(e.AutoStop) && now.Sub(r.Live.Deployed) > settling:
		return fmt.Sprintf("the time of environment %q was over on %s (auto_stop_in)", Printable(r.Environment, 80), e.AutoStop.UTC().Format(time.DateTime))
	}
	return ""
}

// mergeRequestEnded tells whether the last of the release's merge requests was
// merged or closed after the release was asked for, and none is open.
func (l Lifetime) mergeRequestEnded(r Release, all []MergeRequest) string {
	var last MergeRequest
	for _, m := range all {
		if !r.of(m) {
			continue
		}
		if m.Ended.IsZero() {
			return ""
		}
		if m.Ended.After(last.Ended) {
			last = m
		}
	}
	follows := (last.State == "merged" && l.Merged) || (last.State == "closed" && l.Closed)
	if !follows || !last.Ended.After(r.asked()) {
		return ""
	}
	return fmt.Sprintf("merge request !%d was %s", last.Number, last.State)
}

// of tells whether the release is one of the merge request's.
func (r Release) of(m MergeRequest) bool {
	return (r.MergeRequest != 0 && m.Number == r.MergeRequest) || (r.Branch != "" && !m.Fork && m.Branch == r.Branch)
}

// Ending is what is remembered of an app that is gone.
type Ending struct {
	App
	Ref          string    `json:"ref,omitempty"`
	SHA          string    `json:"sha,omitempty"`
	Job          int64     `json:"job,omitempty"`
	MergeRequest int64     `json:"merge_request,omitempty"`
	Reason       string    `json:"reason"`
	At           time.Time `json:"at"` // UTC
	// Untold tells that GitLab may still have the environment as available. Told is
	// when it was last told, after so many Tries in vain.
	Untold bool      `json:"untold,omitempty"`
	Tries  int       `json:"tries,omitempty"`
	Told   time.Time `json:"told,omitzero"` // UTC
}

// remembered is how long endings are kept.
const remembered = 30 * 24 * time.Hour

// SaveEnding remembers how an app has ended.
func (r *Records) SaveEnding(e Ending) error {
	if err := CheckLabel(e.Name); err != nil {
		return err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(r.dir, "ended"), 0o750); err != nil {
		return fmt.Errorf("remember the end of %s: %w", e.Name, err)
	}
	if err := renameio.WriteFile(r.endingPath(e.Name), append(data, '\n'), 0o640); err != nil {
		return fmt.Errorf("remember the end of %s: %w", e.Name, err)
	}
	return nil
}

// Endings returns what is remembered, by app. What cannot be read is left out:
// nothing depends on it.
func (r *Records) Endings() ([]Ending, error) {
	names, err := r.list("ended")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list endings: %w", err)
	}
	var all []Ending
	for _, name := range names {
		app, found := strings.CutSuffix(name, ".json")
		if !found || CheckLabel(app) != nil {
			continue
		}
		if e, err := r.Ending(app); err == nil && e != nil {
			all = append(all, *e)
		}
	}
	slices.SortFunc(all, func(a, b Ending) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Ending returns how the app has ended, or nil.
func (r *Records) Ending(app string) (*Ending, error) {
	if err := CheckLabel(app); err != nil {
		return nil, err
	}
	data, err := r.read(filepath.Join("ended", app+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var e Ending
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	if e.Name != app {
		return nil, fmt.Errorf("the end of %s names another app", app)
	}
	return &e, nil
}

// ForgetEnding forgets how an app has ended. A missing one is not an error.
func (r *Records) ForgetEnding(app string) error {
	if err := CheckLabel(app); err != nil {
		return err
	}
	if err := os.Remove(r.endingPath(app)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (r *Records) endingPath(app string) string {
	return filepath.Join(r.dir, "ended", app+".json")
}
