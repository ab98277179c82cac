package podman

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/domain/entities/types"

	"gitlab.com/review-executor/review-executor/review"
)

// Consumption tells what running containers use. See review.Insight.
func (p *Podman) Consumption(ctx context.Context, labels map[string]string) ([]review.Consumption, error) {
	there, err := containers.List(p.call(ctx), new(containers.ListOptions).WithFilters(labelFilter(labels)))
	if err != nil {
		return nil, p.explain(err, "list containers")
	}
	running := map[string]types.ListContainer{}
	for _, c := range there {
		if carries(c.Labels, labels) && c.State == "running" {
			running[c.ID] = c
		}
	}
	if len(running) == 0 {
		return nil, nil
	}
	stats, err := p.stats(ctx)
	if err != nil {
		return nil, err
	}
	var all []review.Consumption
	for _, s := range stats.Stats {
		c, wanted := running[s.ContainerID]
		if !wanted {
			continue
		}
		started := time.Unix(c.StartedAt, 0).UTC()
		all = append(all, review.Consumption{
			ID: s.ContainerID, Name: s.Name, Labels: c.Labels, Started: started,
			CPU: time.Duration(s.CPUNano), Share: share(time.Duration(s.CPUNano), time.Since(started)),
			Memory: review.Bytes(s.MemUsage), Limit: review.Bytes(s.MemLimit),
		})
	}
	return all, nil
}

func share(cpu, of time.Duration) float64 {
	if of < time.Second {
		return 0
	}
	return cpu.Seconds() / of.Seconds()
}

// stats asks for all running containers: asked for some by name, Podman fails
// when one of them has just ended.
func (p *Podman) stats(ctx context.Context) (types.ContainerStatsReport, error) {
	// The bindings give the report to nobody when ctx has ended.
	reports, err := containers.Stats(p.call(ctx), nil, new(containers.StatsOptions).WithStream(false))
	if err != nil {
		return types.ContainerStatsReport{}, p.explain(err, "ask what containers use")
	}
	report, got := <-reports
	if !got {
		return report, p.explain(errors.Join(ctx.Err(), errors.New("no answer")), "ask what containers use")
	}
	if report.Error != nil {
		return report, fmt.Errorf("ask what containers use: %w", report.Error)
	}
	return report, nil
}
