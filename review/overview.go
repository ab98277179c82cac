package review

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Pages are what people see beside the apps: an index of them, and a page in the
// place of one that does not answer.
type Pages interface {
	// Write brings the pages to the overview. One call runs at a time.
	Write(Overview) error
}

// Overview is what people may know of all apps at one moment. It holds no secret;
// refs, names and reasons are strangers' words.
type Overview struct {
	At    time.Time // UTC
	Apps  []Seen    // by project, then name
	Ended []Ending  // by name, none of an app in Apps
}

// Seen is one app as people see it.
type Seen struct {
	Record            // without Live if it was never deployed
	URL     string    // where a browser finds it
	State   string    // live, deploying, failed (never deployed) or stopping
	Attempt *Attempt  // the deploy that goes on, or the last one if it failed; nil: neither
	Expires time.Time // when it ends by itself, zero: never
	// SleepAfter is how long it may have no connection before it sleeps; "": no supervisor would wake it.
	SleepAfter string
}

// overview is of these records and of what else there is.
func (l *Lifecycle) overview(records []Record, now time.Time) (Overview, error) {
	o := Overview{At: now.UTC()}
	attempts := l.Records.attempts()
	there := map[string]bool{}
	for _, r := range records {
		if !l.named(r.App) {
			continue
		}
		seen := Seen{Record: r, URL: l.Front.URL(r.Host), State: r.State(), Expires: l.Lifetime.expires(r)}
		if r.Serves() && r.Live.Socket {
			seen.SleepAfter = l.Limits.sleepAfter(r.Live).String()
		}
		if a, found := attempts[r.Name]; found && a.owns(r.App) {
			seen.Attempt = &a
		}
		delete(attempts, r.Name)
		there[r.Name] = true
		o.Apps = append(o.Apps, seen)
	}
	for name, a := range attempts {
		if !l.named(a.App) {
			continue
		}
		seen := Seen{Record: Record{App: a.App}, URL: l.Front.URL(a.Host), State: "deploying", Attempt: &a}
		if a.Failed {
			seen.State = "failed"
		}
		there[name] = true
		o.Apps = append(o.Apps, seen)
	}
	slices.SortFunc(o.Apps, func(a, b Seen) int { return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Name, b.Name)) })
	endings, err := l.Records.Endings()
	for _, e := range endings {
		if !there[e.Name] && l.named(e.App) {
			o.Ended = append(o.Ended, e)
		}
	}
	return o, err
}

// named tells whether the app has the host that its name means. People are sent to no
// other.
func (l *Lifecycle) named(a App) bool { return a.Host == a.Name+"."+l.Domain }

// expires is when the app ends by itself: auto_stop_in of its environment, or its age.
func (l Lifetime) expires(r Record) time.Time {
	if r.Pinned {
		return time.Time{}
	}
	at := r.AutoStop
	if age := r.Live.Deployed.Add(l.MaxAge); l.MaxAge != 0 && r.Live.ID != "" && (at.IsZero() || age.Before(at)) {
		at = age
	}
	return at
}

// writePages brings the pages to what there is. The front's lock must be held. Apps
// whose record is damaged are not among the records, and not on the pages.
func (l *Lifecycle) writePages(records []Record) {
	if l.Pages == nil {
		return
	}
	o, err := l.overview(records, time.Now())
	if err == nil {
		err = l.Pages.Write(o)
	}
	if err != nil && l.Unwritten != nil {
		l.Unwritten(err)
	}
}

// showState brings the pages, and nothing else, to what there is. That this fails
// changes nothing for the apps.
func (l *Lifecycle) showState(ctx context.Context) {
	if l.Pages == nil {
		return
	}
	if l.FrontUnit != nil {
		if _, err := l.applyByUnit(ctx); err != nil && l.Unwritten != nil {
			l.Unwritten(err)
		}
		return
	}
	unlock, err := l.Records.LockFront(ctx)
	if err != nil {
		return
	}
	defer unlock()
	if records, _, err := l.Records.All(); err == nil {
		l.writePages(records)
	}
}
