package review

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// toldWithin is how long GitLab is told of an end that it does not want to hear of.
const toldWithin = 24 * time.Hour

// alwaysStopped is how many apps one sync may stop on any host.
const alwaysStopped = 3

// ended is an app whose time is over.
type ended struct {
	record Record
	why    string
	sure   bool // it needs no second question
}

// followForge stops the apps that GitLab has no more, and those that are too old.
// Whatever GitLab does not answer for certain stays as it is. Absence from a list
// is not enough: each app is asked for by name before it goes.
func (l *Lifecycle) followForge(ctx context.Context, log *Log, options SyncOptions) error {
	records, _, err := l.Records.All()
	if err != nil {
		return err
	}
	of := len(records)
	records = slices.DeleteFunc(records, func(r Record) bool { return !r.Serves() })
	over, problems := l.findEnded(ctx, records, log, options.DryRun)
	over, unsure := l.askByName(ctx, over)
	problems = append(problems, unsure...)
	if options.DryRun {
		for _, e := range over {
			log.Line("%s: would stop it: %s", e.record.Name, e.why)
		}
	}
	may := max(alwaysStopped, of*l.Lifetime.SyncShare/100)
	if len(over) > may && !options.Yes {
		say(problems, log)
		return &Failure{
			What:  fmt.Sprintf("%d of %d apps have ended, and one sync may stop %d: %s", len(over), of, may, Printable(namesOf(over), 300)),
			State: "none of them was stopped",
			Hint:  `"review-executor sync --dry-run" tells why each would go; if that is right: "review-executor sync --yes", or raise lifetime.sync_share`,
		}
	}
	if !options.DryRun {
		problems = append(problems, l.stopEnded(ctx, over, log)...)
		l.tellAll(ctx, log)
	}
	if say(problems, log) == 0 {
		return nil
	}
	return &Failure{
		What:  "not every app could be compared with GitLab, or stopped",
		State: "those stay as they are; why is said above",
		Hint:  "run it again when that is mended; it is safe at any time",
	}
}

// findEnded asks for all projects that have apps.
func (l *Lifecycle) findEnded(ctx context.Context, records []Record, log *Log, dryRun bool) (over []ended, unknown []error) {
	now := time.Now()
	projects := map[int64][]Record{}
	for _, r := range records {
		if why := l.Lifetime.tooOld(r, now); why != "" {
			over = append(over, ended{r, why, true})
			continue
		}
		if !Local(r.ProjectID) {
			projects[r.ProjectID] = append(projects[r.ProjectID], r)
		}
	}
	if l.Forge == nil {
		return over, nil
	}
	ids := slices.Sorted(maps.Keys(projects))
	surveys, errs := make([]Survey, len(ids)), make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(syncedAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			surveys[i], errs[i] = l.Forge.Survey(ctx, Query{ProjectID: id, Since: oldest(projects[id])})
			return nil
		})
	}
	_ = group.Wait() // the errors are by project
	answered := false
	for i, s := range surveys {
		answered = answered || errs[i] == nil && !s.Missing
	}
	for i, id := range ids {
		apps := projects[id]
		if errs[i] != nil {
			f := *AsFailure(errs[i])
			f.What = fmt.Sprintf("GitLab could not be asked about %s, so its %d apps stay: %s", apps[0].Project, len(apps), f.What)
			unknown = append(unknown, &f)
			continue
		}
		for _, r := range apps {
			if why := l.missingEnded(r, surveys[i], answered, now); why != "" {
				over = append(over, ended{r, why, true})
			} else if why := l.Lifetime.ended(r, surveys[i], now); why != "" {
				over = append(over, ended{r, why, false})
			}
			if !dryRun && (answered || !surveys[i].Missing) {
				l.noteSurvey(r, surveys[i], now)
			}
		}
		if surveys[i].Missing && !answered && !surveys[i].SeesAll {
			log.Line("WARNING: GitLab shows us no project of any app, so the %d apps of %s stay: is it the token?", len(apps), apps[0].Project)
		} else if surveys[i].Missing && !surveys[i].SeesAll {
			log.Line("WARNING: GitLab shows us no project %s (%d): it was deleted, or the token may not see it; its %d apps stay for %s from when that began", apps[0].Project, id, len(apps), l.Lifetime.MissingProject)
		}
	}
	slices.SortFunc(over, func(a, b ended) int { return cmp.Compare(a.record.Name, b.record.Name) })
	return over, unknown
}

// missingEnded tells whether the app's project has been missing for long enough.
// Nothing follows from that if no project at all is to be seen.
func (l *Lifecycle) missingEnded(r Record, s Survey, answered bool, now time.Time) string {
	long := s.SeesAll || answered && !r.Missing.IsZero() && now.Sub(r.Missing) > l.Lifetime.MissingProject
	if !s.Missing || r.Pinned || !long {
		return ""
	}
	return fmt.Sprintf("project %s is gone", r.Project)
}

// noteSurvey keeps in the record when the app will end, and since when its project
// is missing. An app that somebody works on is noted the next time.
func (l *Lifecycle) noteSurvey(found Record, s Survey, now time.Time) {
	missing, autoStop := found.Missing, s.Environments[found.Environment].AutoStop.UTC()
	switch {
	case !s.Missing:
		missing = time.Time{}
	case missing.IsZero():
		missing, autoStop = now.UTC().Truncate(time.Second), found.AutoStop
	}
	if missing.Equal(found.Missing) && autoStop.Equal(found.AutoStop) {
		return
	}
	unlock, err := l.Records.TryLock(found.Name)
	if err != nil || unlock == nil {
		return
	}
	defer unlock()
	record, err := l.Records.Load(found.Name)
	if err != nil || record == nil || record.Stopping || !record.owns(found.App) {
		return
	}
	record.Missing, record.AutoStop = missing, autoStop
	_ = l.Records.Save(*record) // it is asked for again the next time
}

// askByName asks for each app once more, and returns those that have ended.
func (l *Lifecycle) askByName(ctx context.Context, over []ended) (sure []ended, problems []error) {
	problems = make([]error, len(over))
	var group errgroup.Group
	group.SetLimit(syncedAtOnce)
	for i, e := range over {
		if e.sure {
			continue
		}
		group.Go(func() error {
			survey, err := l.Forge.Survey(ctx, e.record.Live.query(e.record.App))
			if err == nil && survey.Missing {
				err = fmt.Errorf("it shows us no project %s now", e.record.Project)
			}
			if err != nil {
				f := *AsFailure(err)
				f.What = fmt.Sprintf("%s stays: GitLab could not be asked once more: %s", e.record.Name, f.What)
				problems[i] = &f
				return nil
			}
			over[i].why = l.Lifetime.ended(e.record, survey, time.Now())
			over[i].sure = over[i].why != ""
			return nil
		})
	}
	_ = group.Wait() // the problems are by app
	return slices.DeleteFunc(over, func(e ended) bool { return !e.sure }), problems
}

// stopEnded stops the apps, but for those that somebody works on: a deploy asks
// GitLab itself.
func (l *Lifecycle) stopEnded(ctx context.Context, over []ended, log *Log) (problems []error) {
	problems = make([]error, len(over))
	var group errgroup.Group
	group.SetLimit(syncedAtOnce)
	for i, e := range over {
		group.Go(func() error {
			err := l.endIdle(ctx, e.record, e.why, log)
			if err != nil && !errors.Is(err, errBusy) {
				f := *AsFailure(err)
				f.What = fmt.Sprintf("%s could not be stopped: %s", e.record.Name, f.What)
				problems[i] = &f
			}
			return nil
		})
	}
	_ = group.Wait() // the problems are by app
	return problems
}

// tellAll tells GitLab of the apps that have ended without its knowledge, less and
// less often, and forgets those that ended long ago.
func (l *Lifecycle) tellAll(ctx context.Context, log *Log) {
	endings, err := l.Records.Endings()
	if err != nil {
		return
	}
	deaf := map[int64]bool{} // projects that would not hear
	for _, e := range endings {
		since := time.Since(e.At)
		if since > remembered {
			_ = l.Records.ForgetEnding(e.Name) // tried again the next time
			continue
		}
		if !e.Untold || deaf[e.ProjectID] || since > toldWithin || since < time.Minute<<e.Tries {
			continue
		}
		unlock, err := l.Records.TryLock(e.Name)
		if err != nil || unlock == nil {
			continue
		}
		if record, err := l.Records.Load(e.Name); err == nil && record == nil {
			deaf[e.ProjectID] = !l.tell(ctx, e.Name, log)
		}
		unlock()
	}
}

// oldest is when the oldest of the apps was asked for.
func oldest(records []Record) time.Time {
	first := records[0].Live.asked()
	for _, r := range records {
		if r.Live.asked().Before(first) {
			first = r.Live.asked()
		}
	}
	return first
}

func namesOf(over []ended) string {
	var names []string
	for _, e := range over {
		names = append(names, e.record.Name)
	}
	return strings.Join(names, ", ")
}
