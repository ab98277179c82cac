package review

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// start runs the image beside the release that serves, on a free port of
// loopback.
func (d *deploy) start(ctx context.Context, image Image) error {
	port, err := d.port(image)
	if err != nil {
		return err
	}
	// "app-" keeps an app called job-4711 out of that job's network.
	network := "review-app-" + d.app.Name
	if err := d.Containers.EnsureNetwork(ctx, network, map[string]string{LabelApp: d.app.Name, LabelRole: RoleApp}); err != nil {
		return err
	}
	d.id, err = d.Containers.Start(ctx, Container{
		Name:      fmt.Sprintf("review-app-%s-%s", d.app.Name, d.next.ID),
		Image:     image.ID,
		Hostname:  d.app.Name,
		Network:   network,
		Aliases:   []string{d.app.Name},
		Env:       d.env(port),
		Labels:    d.labels(RoleApp),
		Port:      port,
		Restart:   true,
		Isolation: d.Isolation,
	})
	if err != nil {
		return err
	}
	state, err := d.Containers.State(ctx, d.id)
	if err != nil {
		return err
	}
	d.next.Backend = state.Backend
	d.req.Log.Step("container", "port %d of %s on %s", port, d.app.Name, state.Backend)
	return nil
}

// port is the one that the app listens on inside its container.
func (d *deploy) port(image Image) (uint16, error) {
	if port := d.req.Settings.Port; port != 0 {
		return port, nil
	}
	if len(image.Ports) == 1 {
		return image.Ports[0], nil
	}
	what := "the image exposes no port"
	if len(image.Ports) > 1 {
		what = "the image exposes several ports: " + JoinPorts(image.Ports)
	}
	return 0, &Failure{
		Kind: Build,
		What: what,
		Hint: `set REVIEW_PORT under "variables:" in this job, or EXPOSE one port in the Containerfile`,
	}
}

// JoinPorts lists ports as a sentence has them: 80, 443.
func JoinPorts(ports []uint16) string {
	text := make([]string, len(ports))
	for i, port := range ports {
		text[i] = strconv.Itoa(int(port))
	}
	return strings.Join(text, ", ")
}

// env is the app's environment: what the project set, and where it is.
func (d *deploy) env(port uint16) map[string]string {
	env := map[string]string{
		"PORT":        strconv.Itoa(int(port)),
		"REVIEW_HOST": d.app.Host,
		"REVIEW_URL":  d.Front.URL(d.app.Host),
		"REVIEW_SHA":  d.req.SHA,
		"REVIEW_REF":  d.req.Ref,
	}
	maps.Copy(env, d.req.Settings.Env)
	return env
}

// labels go on everything that the release is made of.
func (d *deploy) labels(role string) map[string]string {
	return map[string]string{
		LabelApp:         d.app.Name,
		LabelProject:     d.app.Project,
		LabelProjectID:   strconv.FormatInt(d.app.ProjectID, 10),
		LabelEnvironment: d.app.Environment,
		LabelRef:         d.req.Ref,
		LabelSHA:         d.req.SHA,
		LabelJob:         strconv.FormatInt(d.req.Job, 10),
		LabelRole:        role,
		LabelRelease:     d.next.ID,
	}
}
