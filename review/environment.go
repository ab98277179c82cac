package review

import (
	"context"
	"maps"
	"strconv"
)

// saveSecrets keeps the release's environment before anything is started with it.
func (d *deploy) saveSecrets(context.Context) error {
	prepared, err := d.Records.LoadSecrets(d.app.Name, d.next.ID)
	if err != nil {
		return err
	}
	d.secrets = Secrets{App: d.req.env(), Companions: prepared.Companions}
	return d.Records.SaveSecrets(d.app.Name, d.next.ID, d.secrets)
}

// env is the app's environment: what the project and the administrator set, and
// where it is.
func (d *deploy) env() map[string]string {
	env := map[string]string{}
	maps.Copy(env, d.secrets.App)
	maps.Copy(env, map[string]string{
		"REVIEW_HOST": d.app.Host,
		"REVIEW_URL":  d.Front.URL(d.app.Host),
		"REVIEW_SHA":  d.next.SHA,
		"REVIEW_REF":  d.next.Ref,
	})
	if d.next.Port != 0 {
		env["PORT"] = strconv.Itoa(int(d.next.Port))
	}
	return env
}

// appLabels go on everything that is the app's.
func (d *deploy) appLabels(role string) map[string]string {
	return map[string]string{
		LabelApp:         d.app.Name,
		LabelProject:     d.app.Project,
		LabelProjectID:   strconv.FormatInt(d.app.ProjectID, 10),
		LabelEnvironment: d.app.Environment,
		LabelRole:        role,
	}
}

// labels go on everything that the release is made of.
func (d *deploy) labels(role string) map[string]string {
	labels := d.appLabels(role)
	labels[LabelRef], labels[LabelSHA] = d.next.Ref, d.next.SHA
	labels[LabelJob] = strconv.FormatInt(d.next.Job, 10)
	labels[LabelRelease] = d.next.ID
	return labels
}
