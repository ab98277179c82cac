package executor

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/review-executor/review-executor/review"
)

const serviceLines = 20

// aliasPattern is what a name in the network may look like; the docker executor
// makes names with two underscores.
var aliasPattern = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$`)

var envPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// service is one that has been started.
type service struct {
	Image
	container string
	address   string
	aliases   []string
	ports     []uint16 // one of them must be open before the job begins
	since     time.Time
}

// startServices starts what the job has under "services:".
func (e *Executor) startServices(ctx context.Context, job Job, images []review.Image) ([]service, error) {
	asked := e.services(job)
	aliases := e.aliases(asked)
	services := make([]service, len(asked))
	group, ctx := errgroup.WithContext(ctx)
	for i, image := range asked {
		group.Go(func() error {
			c := e.serviceContainer(job, i, image, images[i])
			c.Aliases = aliases[i]
			services[i] = service{Image: image, container: c.Name, aliases: aliases[i], ports: servicePorts(image, images[i]), since: time.Now()}
			if _, err := e.Engine.Start(ctx, c); err != nil {
				return serviceFailed(image, err)
			}
			state, err := e.Engine.State(ctx, c.Name)
			services[i].address = state.Address
			return err
		})
	}
	return services, group.Wait()
}

// hosts are the services' addresses by name: the network's own names are known
// a moment later than a container is started.
func hosts(services []service) map[string]string {
	hosts := map[string]string{}
	for _, s := range services {
		for _, alias := range s.aliases {
			if s.address != "" {
				hosts[alias] = s.address
			}
		}
	}
	return hosts
}

// waitForServices waits until they all listen. One that does not is no reason to
// fail: perhaps the script does not need it.
func (e *Executor) waitForServices(ctx context.Context, services []service) error {
	var writing sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range services {
		group.Go(func() error {
			problem := review.WaitListening(ctx, e.Engine, s.container, s.ports)
			writing.Lock()
			defer writing.Unlock()
			if problem == "" {
				e.log().Line("Service %s is ready as %s after %s", s.Name, strings.Join(s.aliases, ", "), review.Since(s.since))
				return ctx.Err()
			}
			e.warnOfService(ctx, s, problem)
			return ctx.Err()
		})
	}
	return group.Wait()
}

func serviceFailed(service Image, err error) error {
	f := *review.AsFailure(err)
	f.What = fmt.Sprintf("service %s: %s", review.Printable(service.Name, 200), f.What)
	return &f
}

func (e *Executor) serviceContainer(job Job, n int, service Image, image review.Image) review.Container {
	c := e.container(job, review.RoleCompanion)
	c.Name, c.Image = serviceName(job.ID, n), image.ID
	c.SameIDs = helperName(job.ID)
	c.User = service.User
	c.Entrypoint, c.Command = service.Entrypoint, service.Command
	c.Env = e.serviceEnv(job, service, func(string) bool { return true })
	return c
}

// serviceEnv is what the docker executor gives a service: the job's variables
// that are no secret, as far as they are wanted, and those under "services:variables".
func (e *Executor) serviceEnv(job Job, service Image, wanted func(name string) bool) map[string]string {
	vars := e.variables()
	env := map[string]string{}
	for _, name := range job.Public {
		if value, there := vars[name]; there && envPattern.MatchString(name) && wanted(name) {
			env[name] = value
		}
	}
	all := maps.Clone(vars)
	for _, v := range service.Variables {
		all[v.Key] = v.Value
	}
	for _, v := range service.Variables {
		if envPattern.MatchString(v.Key) {
			env[v.Key] = expandVariables(v.Value, all)
		}
	}
	return env
}

// aliases are the names of each service: the image's without tag and port, with
// "/" as "__" and as "-", and the user's. The first claimant wins.
func (e *Executor) aliases(services []Image) [][]string {
	taken := map[string]string{}
	all := make([][]string, len(services))
	for i, service := range services {
		for _, alias := range slices.Concat(imageAliases(service.Name), service.Aliases) {
			switch owner, claimed := taken[alias]; {
			case !aliasPattern.MatchString(alias):
				e.log().Line("WARNING: service %s cannot be called %q", service.Name, alias)
			case claimed && owner != service.Name:
				e.log().Line("WARNING: service %s cannot be called %q, which is %s", service.Name, alias, owner)
			case !claimed:
				taken[alias] = service.Name
				all[i] = append(all[i], alias)
			}
		}
	}
	return all
}

// imageAliases turns registry.example.org:5000/group/db:17 into
// registry.example.org__group__db and registry.example.org-group-db.
func imageAliases(image string) []string {
	image, _, _ = strings.Cut(image, "@")
	parts := strings.Split(image, "/")
	last := len(parts) - 1
	parts[last], _, _ = strings.Cut(parts[last], ":")
	if last > 0 {
		parts[0], _, _ = strings.Cut(parts[0], ":")
	}
	return slices.Compact([]string{strings.Join(parts, "__"), strings.Join(parts, "-")})
}

// servicePorts are those of which one must be open before the job begins.
func servicePorts(service Image, image review.Image) []uint16 {
	for _, v := range service.Variables {
		if v.Key == "HEALTHCHECK_TCP_PORT" {
			if port, err := strconv.ParseUint(v.Value, 10, 16); err == nil {
				return []uint16{uint16(port)}
			}
		}
	}
	return image.Ports
}

func (e *Executor) warnOfService(ctx context.Context, s service, problem string) {
	log := e.log()
	log.Line("WARNING: service %s %s; the job goes on without it. Its last lines:", s.Name, problem)
	lines, err := e.Engine.Logs(ctx, s.container, serviceLines)
	if err != nil {
		lines = []string{err.Error()}
	}
	for _, line := range lines {
		log.Line("  %s", line)
	}
}
