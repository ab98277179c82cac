package review

import (
	"context"
	"fmt"
)

// Pin makes the app stay, whatever the forge says of its branch, or lets it go
// again with the next sync. Only who looks after the host can stop a pinned app. It
// waits for who works on the app, and tells whether anything has changed.
func (l *Lifecycle) Pin(ctx context.Context, app App, pinned bool, log *Log) (changed bool, err error) {
	unlock, err := l.lock(ctx, app, log)
	if err != nil {
		return false, err
	}
	defer unlock()
	record, err := l.Records.Load(app.Name)
	if err != nil {
		return false, unreadable(app.Name, err)
	}
	if record == nil || record.Stopping || !record.owns(app) {
		return false, &Failure{
			What:  fmt.Sprintf("there is no review app %q any more", app.Name),
			State: "nothing was changed",
			Hint:  `"review-executor list" shows those that are there`,
		}
	}
	if record.Pinned == pinned {
		return false, nil
	}
	record.Pinned = pinned
	return true, l.Records.Save(*record)
}
