package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// oldestListed is how many apps a refusal names.
const oldestListed = 5

// checkRoom refuses an app that is one too many.
func (d *deploy) checkRoom(context.Context) error {
	if d.record.Live.ID != "" {
		return nil
	}
	records, damaged, err := d.Records.All()
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(records, func(r Record) bool { return r.Name == d.app.Name })
	if d.Limits.Apps > 0 && len(others)+len(damaged) >= d.Limits.Apps {
		return noRoom("this host", "limits.apps", others)
	}
	of := slices.DeleteFunc(others, func(r Record) bool { return r.ProjectID != d.app.ProjectID })
	if d.Limits.AppsPerProject > 0 && len(of) >= d.Limits.AppsPerProject {
		return noRoom("project "+d.app.Project, "limits.apps_per_project", of)
	}
	return nil
}

func noRoom(of, rule string, apps []Record) error {
	slices.SortStableFunc(apps, func(a, b Record) int { return a.Live.Deployed.Compare(b.Live.Deployed) })
	f := &Failure{
		Kind:  Build,
		What:  fmt.Sprintf("%s has %d review apps, which is as many as it may have", of, len(apps)),
		Lines: []string{"the oldest are:"},
		Hint:  fmt.Sprintf("stop one that nobody needs, in GitLab under Operate > Environments; the limit is %s", rule),
	}
	for _, app := range apps[:min(len(apps), oldestListed)] {
		f.Lines = append(f.Lines, fmt.Sprintf("  %s of %s, branch %s, deployed %s", app.Name, app.Project,
			cmp.Or(Printable(app.Live.Ref, 80), "?"), app.Live.Deployed.Format(time.DateTime)))
	}
	return f
}
