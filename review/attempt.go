package review

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// Attempt is a deploy that goes on, or the last of its app if that failed. It is
// kept for people alone: nothing depends on it.
type Attempt struct {
	App
	Ref          string    `json:"ref"`
	SHA          string    `json:"sha"`
	Job          int64     `json:"job"`
	JobURL       string    `json:"job_url,omitempty"`
	User         string    `json:"user,omitempty"`
	MergeRequest int64     `json:"merge_request,omitempty"`
	Began        time.Time `json:"began"` // UTC
	Failed       bool      `json:"failed,omitempty"`
	Why          string    `json:"why,omitempty"` // it failed
	Ended        time.Time `json:"ended,omitzero"`
}

// attemptKept is how long a failed deploy is told of when the app never served.
const attemptKept = 3 * 24 * time.Hour

// newAttempt tells of the deploy that begins.
func (d *deploy) newAttempt() Attempt {
	return Attempt{
		App:          d.app,
		Ref:          d.next.Ref,
		SHA:          d.next.SHA,
		Job:          d.next.Job,
		JobURL:       d.next.JobURL,
		User:         d.next.User,
		MergeRequest: d.next.MergeRequest,
		Began:        time.Now().UTC(),
	}
}

// attempted tells people that the deploy goes on, or why it failed.
func (d *deploy) attempted(ctx context.Context, failed error) {
	if d.Pages == nil {
		return
	}
	a := d.newAttempt()
	if failed != nil {
		a.Failed, a.Ended, a.Why = true, a.Began, Printable(AsFailure(failed).Error(), 300)
	}
	_ = d.Records.saveAttempt(a)
	d.showState(ctx)
}

// tidyAttempts ends those that were killed, and forgets those that failed long ago.
func (l *Lifecycle) tidyAttempts() {
	now := time.Now().UTC()
	for name, a := range l.Records.attempts() {
		unlock, err := l.Records.TryLock(name)
		if err != nil || unlock == nil {
			continue // it goes on
		}
		record, err := l.Records.Load(name)
		switch {
		case !a.Failed:
			a.Failed, a.Ended, a.Why = true, now, "the deploy was interrupted"
			_ = l.Records.saveAttempt(a)
		case err == nil && record == nil && now.Sub(a.Ended) > attemptKept:
			l.Records.forgetAttempt(name)
		}
		unlock()
	}
}

func (r *Records) saveAttempt(a Attempt) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(r.dir, "attempts"), 0o750); err != nil {
		return fmt.Errorf("note the deploy of %s: %w", a.Name, err)
	}
	return renameio.WriteFile(r.attemptPath(a.Name), append(data, '\n'), 0o640)
}

// attempts returns those that there are, by app. What cannot be read is left out.
func (r *Records) attempts() map[string]Attempt {
	names, _ := r.list("attempts")
	all := map[string]Attempt{}
	for _, name := range names {
		app, found := strings.CutSuffix(name, ".json")
		if !found || CheckLabel(app) != nil {
			continue
		}
		data, err := r.read(filepath.Join("attempts", name))
		var a Attempt
		if err == nil && json.Unmarshal(data, &a) == nil && a.Name == app {
			all[app] = a
		}
	}
	return all
}

func (r *Records) forgetAttempt(app string) { _ = os.Remove(r.attemptPath(app)) }

func (r *Records) attemptPath(app string) string {
	return filepath.Join(r.dir, "attempts", app+".json")
}
