package review

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// syncedAtOnce is how many apps Sync works on at the same time.
var syncedAtOnce = 4

// SyncOptions change what Sync does.
type SyncOptions struct {
	DryRun bool // only say what would be done
	Yes    bool // even when most apps have no record, or very many have ended
}

// manyOrphans is how many apps without a record a few killed deploys may leave.
const manyOrphans = 5

// checkRecords refuses to take apps for leftovers when it is more likely that their
// records are lost: a disk that is not mounted, or another configuration.
func (l *Lifecycle) checkRecords(there inventory) error {
	records, damaged, err := l.Records.All()
	if err != nil {
		return err
	}
	orphans := map[string]bool{}
	for name := range there {
		orphans[name] = true
	}
	for _, r := range records {
		delete(orphans, r.Name)
	}
	maps.DeleteFunc(orphans, func(name string, _ bool) bool { return damaged[name] != nil })
	if len(orphans) == 0 || (l.Records.Begun() && len(orphans) <= max(manyOrphans, len(records))) {
		return nil
	}
	return &Failure{
		What:  fmt.Sprintf("%d apps have containers, volumes or images but no record: %s", len(orphans), Printable(strings.Join(slices.Sorted(maps.Keys(orphans)), ", "), 300)),
		State: fmt.Sprintf("nothing was changed; there are %d records in %s", len(records), l.Records.dir),
		Hint:  `is the disk of state_dir mounted, and is this the right configuration? If these apps shall go: "review-executor sync --yes"`,
	}
}

// Sync brings everything to what the records say, and the records to what GitLab
// says. One app's trouble does not keep it from the others.
func (l *Lifecycle) Sync(ctx context.Context, log *Log, options SyncOptions) error {
	restored := l.followRecords(ctx, log, options)
	followed := l.followForge(ctx, log, options)
	if restored != nil && followed != nil {
		say([]error{followed}, log)
	}
	return cmp.Or(restored, followed)
}

// followRecords brings the front, the containers and the files to what the records
// say, after a crash, a reboot or the loss of the container store: what should serve
// is started, and what no record owns is removed. Apps that somebody works on
// are left to them.
func (l *Lifecycle) followRecords(ctx context.Context, log *Log, options SyncOptions) error {
	there, err := l.takeInventory(ctx)
	if err != nil {
		return err
	}
	names, err := l.known(there)
	if err != nil {
		return err
	}
	if !options.Yes {
		if err := l.checkRecords(there); err != nil {
			return err
		}
	}
	dryRun := options.DryRun
	refused := map[string]error{}
	if !dryRun {
		l.tidyAttempts()
		if refused, err = l.ApplyFront(ctx); err != nil {
			return err
		}
		l.done("", "front")
	}
	problems := make([]error, len(names))
	var group errgroup.Group
	group.SetLimit(syncedAtOnce)
	for i, name := range names {
		group.Go(func() error {
			if err := l.syncApp(ctx, name, there[name], refused[name], log, dryRun); err != nil {
				f := *AsFailure(err)
				f.What = name + ": " + f.What
				problems[i] = &f
			}
			return nil
		})
	}
	_ = group.Wait() // the problems are by app
	return report(problems, log)
}

// report tells every problem, and returns how many there are.
func report(problems []error, log *Log) error {
	count := say(problems, log)
	if count == 0 {
		return nil
	}
	return &Failure{
		What:  fmt.Sprintf("%d of %d apps could not be brought to what their records say", count, len(problems)),
		State: "the others are as they should be; what is wrong is said above",
		Hint:  "run it again when that is mended; it is safe at any time",
	}
}

// say tells every problem and counts them; some may be nil.
func say(problems []error, log *Log) (count int) {
	for _, problem := range problems {
		if problem == nil {
			continue
		}
		count++
		for _, line := range strings.Split(strings.TrimSpace(AsFailure(problem).Text()), "\n") {
			log.Line("%s", line)
		}
	}
	return count
}

// known names every app that there is a trace of.
func (l *Lifecycle) known(there inventory) ([]string, error) {
	names := map[string]bool{}
	records, damaged, err := l.Records.All()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		names[r.Name] = true
	}
	for name := range damaged {
		names[name] = true
	}
	for name := range there {
		names[name] = true
	}
	files, err := l.Records.Files()
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		names[name] = true
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return CheckLabel(name) != nil }) // nobody's work of ours
	return slices.Sorted(maps.Keys(names)), nil
}

func (l *Lifecycle) syncApp(ctx context.Context, name string, there []Object, refused error, log *Log, dryRun bool) error {
	unlock, err := l.Records.TryLock(name)
	if err != nil {
		return err
	}
	if unlock == nil {
		log.Line("%s: somebody works on it", name)
		return nil
	}
	defer unlock()
	l.Records.forgetStop(name) // nobody waits
	found, err := l.Records.Load(name)
	if err != nil {
		return err // what should exist is not known, so nothing is removed
	}
	record := Record{App: App{Name: name}}
	if found != nil && !found.Stopping {
		record = l.withoutGone(*found)
	}
	if dryRun {
		return l.preview(ctx, record, found, log)
	}
	if refused == nil && found != nil && len(found.Pending) == 0 && l.settled(record, there) {
		return l.Records.Prune(name, record.keeps)
	}
	if refused != nil {
		return refused // the front may send requests to something else
	}
	return l.bring(ctx, record, found, log)
}

// bring makes of the app what the record says.
func (l *Lifecycle) bring(ctx context.Context, record Record, found *Record, log *Log) error {
	unwanted, err := l.unwanted(ctx, record)
	if err != nil {
		return err
	}
	if record.Live.ID == "" && len(record.Pending) == 0 {
		if found != nil || len(unwanted) > 0 {
			log.Line("%s: removing what a killed deploy or stop has left", record.Name)
		}
		if found == nil {
			return l.clear(ctx, record.Name, 0)
		}
		return l.end(ctx, record.Name, found, "")
	}
	var saved error
	if found != nil && len(found.Pending) != len(record.Pending) {
		saved = l.Records.Save(record)
	}
	did, restored := l.restore(ctx, record, log.For(record.Name))
	l.done(record.Name, "restore")
	if did != "" && restored == nil {
		log.Line("%s: %s", record.Name, did)
	}
	if len(unwanted) > 0 {
		log.Line("%s: removing what a killed deploy has left", record.Name)
		if err := l.frontFollows(ctx, record.Name); err != nil {
			return errors.Join(saved, restored, err) // what serves is not known
		}
	}
	// restore may have changed the record.
	if now, err := l.Records.Load(record.Name); err == nil && now != nil {
		record.Live = now.Live
	}
	swept := l.sweep(ctx, record, true)
	l.done(record.Name, "sweep")
	return errors.Join(saved, restored, swept)
}

// frontFollows makes sure that the front does as the record says, which may have been
// saved, by a deploy that was killed then, after Sync has applied the front.
func (l *Lifecycle) frontFollows(ctx context.Context, name string) error {
	refused, err := l.ApplyFront(ctx)
	return cmp.Or(err, refused[name])
}

// preview says what bring would do.
func (l *Lifecycle) preview(ctx context.Context, record Record, found *Record, log *Log) error {
	there, err := l.objects(ctx, record.Name)
	if err != nil {
		return err
	}
	for _, o := range there {
		if !record.wants(o) {
			log.Line("%s: would remove %s %s", record.Name, o.Kind, o.Name)
		}
	}
	wanted := record.containers()
	if unit, found := unitOf(there, record.Name, record.Live); found && record.Live.Socket && !unit.Running && l.Limits.sleepAfter(record.Live) != Never {
		wanted = nil // it sleeps
	}
	for _, name := range wanted {
		if !has(there, name, true) {
			log.Line("%s: would start container %s", record.Name, name)
		}
	}
	if found != nil && !record.Serves() && len(record.Pending) == 0 {
		log.Line("%s: would remove its record", record.Name)
	}
	return nil
}

// unwanted is what there is of the app that its record does not name.
func (l *Lifecycle) unwanted(ctx context.Context, record Record) ([]Object, error) {
	there, err := l.objects(ctx, record.Name)
	return slices.DeleteFunc(there, record.wants), err
}
