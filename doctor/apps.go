package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Apps checks what is recorded against what is there.
type Apps struct {
	Host
	// Damaged tells which records cannot be read, and how many can.
	Damaged func() (count int, damaged map[string]error, err error)
	// Silent tells which apps are recorded and not served, and why.
	Silent func(context.Context) (map[string]error, error)
	// Strays names what there is of apps that no record owns, by app.
	Strays func(context.Context) (map[string][]string, error)
}

// few is how many are named; the rest is counted.
const few = 5

// Records checks that every record can be read.
func (a Apps) Records(context.Context) []Finding {
	count, damaged, err := a.Damaged()
	if err != nil {
		return fail(err.Error(), command("chown", "-R", a.User.Name+":", a.StateDir))
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(damaged)) {
		record := Quote(a.StateDir + "/apps/" + name + ".json")
		found = append(found, byHand(fail(fmt.Sprintf("%s: %v; nothing can be deployed over it; without the record, sync removes the app", name, damaged[name]),
			"mv "+record+" "+Quote("/root/"+name+".json.damaged"), a.asRunner("sync")))...)
	}
	return orOK(found, "%d apps", count)
}

// Serving checks that Apache serves every app that is recorded.
func (a Apps) Serving(ctx context.Context) []Finding {
	silent, err := a.Silent(ctx)
	if err != nil {
		return skip("%v", cause(err))
	}
	if len(silent) == 0 {
		return ok("all that are recorded are served")
	}
	names := slices.Sorted(maps.Keys(silent))
	return fail(fmt.Sprintf("%d apps are recorded and not served: %s (%v)", len(names), some(names), silent[names[0]]), a.asRunner("sync"))
}

// Orphans checks that nothing is there that no record owns.
func (a Apps) Orphans(ctx context.Context) []Finding {
	strays, err := a.Strays(ctx)
	if err != nil {
		return skip("%v", cause(err))
	}
	if len(strays) == 0 {
		return ok("none")
	}
	var all []string
	for _, app := range slices.Sorted(maps.Keys(strays)) {
		all = append(all, strays[app]...)
	}
	return warn(fmt.Sprintf("no record owns what there is of %d apps: %s", len(strays), some(all)), a.asRunner("sync"))
}

func some(names []string) string {
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
