package review

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// runReleaseCommand runs REVIEW_RELEASE_COMMAND (migrations, seed data) in the new
// image, with the app's environment, network and volumes, before anybody sends
// requests to it.
func (d *deploy) runReleaseCommand(ctx context.Context) error {
	command := d.next.ReleaseCommand
	if command == nil || d.next.Static {
		return nil
	}
	started := time.Now()
	spec, err := d.container(ctx, RoleRelease)
	if err != nil {
		return err
	}
	spec.Command = command
	if spec.Hosts, err = d.companionHosts(ctx); err != nil {
		return err
	}
	log, done := d.log.Section("review_release", "Running the release command: "+strings.Join(command, " "))
	limited, cancel := context.WithTimeout(ctx, d.Limits.ReleaseTimeout)
	defer cancel()
	exit, err := d.Containers.Run(limited, spec, log)
	done()
	if err == nil && d.record.IDs == "" { // the app gets the same: it has the volumes after it
		var state State
		state, err = d.Containers.State(ctx, spec.Name)
		d.record.IDs = state.IDs
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return &Failure{
			Kind: Build,
			What: fmt.Sprintf("the release command of review app %q has not ended within %s", d.app.Name, d.Limits.ReleaseTimeout),
			Hint: "its output is above; the limit is limits.release_timeout",
		}
	}
	if err != nil {
		return err
	}
	if exit != 0 {
		return &Failure{
			Kind: Build,
			What: fmt.Sprintf("the release command of review app %q failed with exit code %d", d.app.Name, exit),
			Hint: "its output is above; what it has already changed on volumes and in companions stays",
		}
	}
	d.log.Step("release", "command done in %s", Since(started))
	return nil
}
