package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
)

// start runs the image beside the release that serves, on a free port of
// loopback.
func (d *deploy) start(ctx context.Context) error {
	if d.next.Static {
		return nil
	}
	port, err := d.port(d.image)
	if err != nil {
		return err
	}
	d.next.Port = port
	if err := d.startOn(ctx, 0); err != nil {
		return err
	}
	d.log.Step("container", "port %d of %s on %s", port, d.app.Name, d.next.Backend)
	return nil
}

// startOn starts the release on a port of loopback; 0: any.
func (d *deploy) startOn(ctx context.Context, hostPort uint16) error {
	spec, err := d.container(ctx, RoleApp)
	if err != nil {
		return err
	}
	spec.Hostname, spec.Aliases = d.app.Name, []string{d.app.Name}
	spec.Command = d.next.Command
	spec.Port, spec.HostPort = d.next.Port, hostPort
	spec.Restart = true
	d.id, err = d.Containers.Start(ctx, spec)
	if errors.Is(err, ErrPortTaken) && hostPort != 0 {
		spec.HostPort = 0
		d.id, err = d.Containers.Start(ctx, spec)
	}
	if err != nil {
		return err
	}
	if err := d.removeReleaseCommand(ctx); err != nil {
		return err
	}
	state, err := d.Containers.State(ctx, d.id)
	d.next.Backend = state.Backend
	return err
}

// removeReleaseCommand removes the container of the release command, which had
// to stay until the app has the user IDs that it had.
func (d *deploy) removeReleaseCommand(ctx context.Context) error {
	if d.next.ReleaseCommand == nil {
		return nil
	}
	return d.Containers.Remove(ctx, map[string]string{LabelApp: d.app.Name, LabelRelease: d.next.ID, LabelRole: RoleRelease}, 0)
}

func containerName(app string, release Release) string {
	return fmt.Sprintf("review-app-%s-%s", app, release.ID)
}

func releaseContainerName(app string, release Release) string {
	return containerName(app, release) + "-release"
}

// container is what the app and its release command have in common.
func (d *deploy) container(ctx context.Context, role string) (Container, error) {
	if err := d.ensureNetwork(ctx); err != nil {
		return Container{}, err
	}
	volumes, _, err := d.volumes(ctx, "", d.next.Volumes)
	if err != nil {
		return Container{}, err
	}
	c := Container{
		Name:      containerName(d.app.Name, d.next),
		Image:     d.next.Image,
		Network:   networkName(d.app.Name),
		Volumes:   volumes,
		Env:       d.env(),
		Labels:    d.labels(role),
		Isolation: d.isolation(),
	}
	if role == RoleRelease {
		c.Name = releaseContainerName(d.app.Name, d.next)
	}
	if len(volumes) == 0 {
		return c, nil
	}
	c.SameIDs, err = d.writer(ctx)
	if c.SameIDs == "" {
		c.Chown = volumeNames(volumes)
	}
	return c, err
}

// writer is the container whose user IDs the files on the app's volumes have: the
// one that serves, or the release command's. "": none is there.
func (d *deploy) writer(ctx context.Context) (string, error) {
	there, err := d.Containers.Objects(ctx, map[string]string{LabelApp: d.app.Name})
	if err != nil {
		return "", err
	}
	for _, name := range []string{containerName(d.app.Name, d.record.Live), releaseContainerName(d.app.Name, d.next)} {
		for _, o := range there {
			if o.Kind == "container" && o.Name == name {
				return name, nil
			}
		}
	}
	return "", nil
}

func (d *deploy) ensureNetwork(ctx context.Context) error {
	return d.Containers.EnsureNetwork(ctx, networkName(d.app.Name), map[string]string{LabelApp: d.app.Name, LabelRole: RoleApp})
}

// isolation is the host's, with the limits that the project has chosen below it.
func (d *deploy) isolation() Isolation {
	i := d.Isolation
	if m := d.next.Memory; m != 0 && (i.Memory == 0 || m < i.Memory) {
		i.Memory = m
	}
	if c := d.next.CPUs; c != 0 && (i.CPUs == 0 || c < i.CPUs) {
		i.CPUs = c
	}
	return i
}

// checkLimits refuses limits above the host's.
func (d *deploy) checkLimits() error {
	var problems []error
	if m := d.next.Memory; d.Isolation.Memory != 0 && m > d.Isolation.Memory {
		problems = append(problems, fmt.Errorf("REVIEW_MEMORY is %s; this host gives an app at most %s", m, d.Isolation.Memory))
	}
	if c := d.next.CPUs; d.Isolation.CPUs != 0 && c > d.Isolation.CPUs {
		problems = append(problems, fmt.Errorf("REVIEW_CPUS is %v; this host gives an app at most %v", c, d.Isolation.CPUs))
	}
	if len(problems) == 0 {
		return nil
	}
	return &Failure{
		Kind:  Build,
		What:  "the app asks for more than this host gives",
		Cause: errors.Join(problems...),
		State: "nothing was changed",
		Hint:  "ask for less, or ask the host's administrator to raise isolation.memory or isolation.cpus",
	}
}

// port is the one that the app listens on inside its container.
func (d *deploy) port(image Image) (uint16, error) {
	if port := d.next.Port; port != 0 {
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

// hostPort is the port of a backend, or 0.
func hostPort(backend string) uint16 {
	address, err := netip.ParseAddrPort(backend)
	if err != nil {
		return 0
	}
	return address.Port()
}

// JoinPorts lists ports as a sentence has them: 80, 443.
func JoinPorts(ports []uint16) string {
	text := make([]string, len(ports))
	for i, port := range ports {
		text[i] = strconv.Itoa(int(port))
	}
	return strings.Join(text, ", ")
}

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

// labels go on everything that the release is made of.
func (d *deploy) labels(role string) map[string]string {
	return map[string]string{
		LabelApp:         d.app.Name,
		LabelProject:     d.app.Project,
		LabelProjectID:   strconv.FormatInt(d.app.ProjectID, 10),
		LabelEnvironment: d.app.Environment,
		LabelRef:         d.next.Ref,
		LabelSHA:         d.next.SHA,
		LabelJob:         strconv.FormatInt(d.next.Job, 10),
		LabelRole:        role,
		LabelRelease:     d.next.ID,
	}
}
