package review

import (
	"context"
	"os"
	"slices"
)

// inventory is what there was in the container engine at one moment, by app.
type inventory map[string][]Object

func (l *Lifecycle) takeInventory(ctx context.Context) (inventory, error) {
	there, err := l.objects(ctx, AnyValue)
	if err != nil {
		return nil, err
	}
	apps := inventory{}
	for _, o := range there {
		apps[o.Labels[LabelApp]] = append(apps[o.Labels[LabelApp]], o)
	}
	return apps, nil
}

// settled tells whether all that the record wants is there and runs, and nothing
// else of the app is there. It asks nobody, so that Sync can look at thousands of
// apps; what is not settled is looked at again.
func (l *Lifecycle) settled(r Record, there []Object) bool {
	if !r.Serves() || len(r.Pending) > 0 || r.Unreleased || slices.ContainsFunc(there, func(o Object) bool { return !r.wants(o) }) {
		return false
	}
	runs := func(name, backend string) bool {
		return slices.ContainsFunc(there, func(o Object) bool {
			return o.Kind == "container" && o.Name == name && o.Running && (backend == "" || o.Backend == backend)
		})
	}
	has := func(companion, dir string) bool {
		return slices.ContainsFunc(there, func(o Object) bool { return o.Kind == "volume" && o.Name == volumeName(r.Name, companion, dir) })
	}
	if l.supervises(r.Live) {
		unit, found := unitOf(there, r.Name, r.Live)
		if !found || !r.Live.Socket || unit.Backend != r.Live.Backend {
			return false
		}
		if unit.Changing {
			return true // somebody works on it
		}
		if !unit.Running {
			return l.Limits.sleepAfter(r.Live) != Never && !slices.ContainsFunc(there, func(o Object) bool { return o.Kind == "container" && o.Running })
		}
	} else if r.Live.Socket {
		return false
	}
	for _, c := range r.Live.Companions {
		if !runs(companionContainer(r.Name, c), "") || slices.ContainsFunc(c.Volumes, func(dir string) bool { return !has(c.Name, dir) }) {
			return false
		}
	}
	if slices.ContainsFunc(r.Live.Volumes, func(dir string) bool { return !has("", dir) }) {
		return false
	}
	if r.Live.Static {
		_, err := os.Stat(l.Records.SiteDir(r.Name, r.Live.ID))
		return err == nil
	}
	if r.Live.Socket {
		return runs(containerName(r.Name, r.Live), "")
	}
	return runs(containerName(r.Name, r.Live), r.Live.Backend)
}
