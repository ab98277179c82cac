package review

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sweep removes everything of the app that its record does not name: containers
// of other releases, companions that nobody wants any more, images, secrets and
// files. With drain, containers first finish their requests.
func (l *Lifecycle) sweep(ctx context.Context, record Record, drain bool) error {
	there, err := l.objects(ctx, record.Name)
	if err != nil {
		return err
	}
	var failed []error
	done := map[string]bool{}
	for _, o := range there {
		labels := group(o)
		if key := fmt.Sprint(labels); record.wants(o) || done[key] {
			continue
		} else {
			done[key] = true
		}
		grace := time.Duration(0)
		if drain {
			grace = l.Limits.StopGrace
			l.drain(ctx, record, o)
		}
		failed = append(failed, l.removeObjects(ctx, labels, grace))
	}
	failed = append(failed, l.Records.Prune(record.Name, record.keeps))
	return errors.Join(failed...)
}

// group are the labels that an unwanted object shares with nothing that is wanted.
func group(o Object) map[string]string {
	labels := map[string]string{}
	for _, key := range []string{LabelApp, LabelRole, LabelRelease, LabelCompanion} {
		labels[key] = o.Labels[key] // "": without that label
	}
	return labels
}

// wants tells whether the record names the object.
func (r Record) wants(o Object) bool {
	release, nobody := o.Labels[LabelRelease], r.Live.ID == "" && len(r.Pending) == 0
	switch o.Labels[LabelRole] {
	case "": // an image
		return r.keeps(release)
	case RoleCompanion:
		return r.runs(o.Labels[LabelCompanion], release)
	case RoleApp:
		if release == "" { // the network, a volume
			return !nobody
		}
		return release == r.Live.ID
	default:
		return false
	}
}

// drain waits until a container or a socket that is published has no connection any more.
func (l *Lifecycle) drain(ctx context.Context, record Record, o Object) {
	// A unit that does not run may be about to: a request waits for it.
	if o.Labels[LabelRole] != RoleApp || (!o.Running && o.Kind != unitKind) {
		return
	}
	backend := o.Backend
	if o.Kind == "container" {
		state, err := l.Containers.State(ctx, o.Name)
		if err != nil || state.Backend == "" {
			return // it has just ended
		}
		backend = state.Backend
	}
	ctx, cancel := context.WithTimeout(ctx, l.Limits.Drain)
	defer cancel()
	if record.Serves() { // a killed process may have told the front just before
		_ = l.Front.Serves(ctx, l.site(record)) // it has had its time
	}
	l.Front.Drain(ctx, backend)
}

// clear removes everything of an app that has no record, or none any more.
func (l *Lifecycle) clear(ctx context.Context, app string, grace time.Duration) error {
	if err := l.removeObjects(ctx, map[string]string{LabelApp: app}, grace); err != nil {
		return err
	}
	return l.Records.Prune(app, func(string) bool { return false })
}
