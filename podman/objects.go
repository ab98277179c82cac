package podman

import (
	"context"
	"net"
	"strconv"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/network"
	"github.com/containers/podman/v5/pkg/bindings/volumes"

	"gitlab.com/review-executor/review-executor/review"
)

// Objects returns what carries all of the labels. See review.Containers.
func (p *Podman) Objects(ctx context.Context, labels map[string]string) ([]review.Object, error) {
	var all []review.Object
	add := func(o review.Object) {
		if carries(o.Labels, labels) {
			all = append(all, o)
		}
	}
	filter := labelFilter(labels)
	inContainers, err := containers.List(p.call(ctx), new(containers.ListOptions).WithAll(true).WithFilters(filter))
	if err != nil {
		return nil, p.explain(err, "list containers")
	}
	for _, c := range inContainers {
		o := review.Object{Kind: "container", Running: c.State == "running", Labels: c.Labels}
		if len(c.Names) > 0 {
			o.Name = c.Names[0]
		}
		if len(c.Ports) > 0 {
			o.Backend = net.JoinHostPort(c.Ports[0].HostIP, strconv.Itoa(int(c.Ports[0].HostPort)))
		}
		add(o)
	}
	inNetworks, err := network.List(p.call(ctx), new(network.ListOptions).WithFilters(filter))
	if err != nil {
		return nil, p.explain(err, "list networks")
	}
	for _, n := range inNetworks {
		add(review.Object{Kind: "network", Name: n.Name, Labels: n.Labels})
	}
	inVolumes, err := volumes.List(p.call(ctx), new(volumes.ListOptions).WithFilters(filter))
	if err != nil {
		return nil, p.explain(err, "list volumes")
	}
	for _, v := range inVolumes {
		add(review.Object{Kind: "volume", Name: v.Name, Labels: v.Labels})
	}
	built, err := p.images(ctx, labels)
	if err != nil {
		return nil, err
	}
	for _, i := range built {
		add(i)
	}
	return all, nil
}
