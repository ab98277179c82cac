package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// stuck is how long a run of the front may take, and more than any does.
const stuck = 10 * time.Minute

// Ran checks what the last run of the front has told in the file. What it refused because the
// record is damaged, Records tells.
func (a Apache) Ran(file string, damaged func() (int, map[string]error, error)) func(context.Context) []Finding {
	return func(context.Context) []Finding {
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return ok("it has not run yet")
		}
		if err != nil {
			return skip("%v", err)
		}
		data, err := a.Host.read(file)
		var run review.FrontRun
		if err == nil {
			run, err = review.ParseFrontRun(data)
		}
		if err != nil {
			return fail(fmt.Sprintf("what %s tells of its last run cannot be read: %v", file, cause(err)), command("rm", file), a.applyFront())
		}
		_, unreadable, _ := damaged()
		return a.ran(run, a.Now.Sub(info.ModTime()).Round(time.Second), unreadable)
	}
}

func (a Apache) ran(run review.FrontRun, ago time.Duration, damaged map[string]error) []Finding {
	ago = max(ago, 0)
	switch {
	case !run.Done && ago > stuck:
		return fail(fmt.Sprintf("a run that began %s ago has not told what became of it: what was deployed since may not be served", ago), a.applyFront())
	case !run.Done:
		return ok("a run began %s ago", ago)
	case run.Failure != nil:
		f := review.AsFailure(run.Failure)
		seen := append([]string{fmt.Sprintf("the last run, %s ago, changed nothing: %s", ago, f.Error())}, f.Lines...)
		return fail(strings.Join(seen, "; "), a.applyFront())
	}
	var found []Finding
	for _, app := range slices.Sorted(maps.Keys(run.Refused)) {
		if damaged[app] != nil || review.CheckLabel(app) != nil {
			continue
		}
		found = append(found, byHand(fail(fmt.Sprintf("the last run, %s ago, refused %s, which is as it was before: %v", ago, app, run.Refused[app]),
			"# deploy it once more; or end it:", a.asRunner("stop", "--yes", app), a.applyFront()))...)
	}
	return orOK(found, "its last run was %s ago and refused nothing", ago)
}
