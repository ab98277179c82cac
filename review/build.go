package review

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// build makes the release's image from the project's Containerfile.
func (d *deploy) build(ctx context.Context) (Image, error) {
	started := time.Now()
	containerfile, err := d.findContainerfile(ctx)
	if err != nil {
		return Image{}, err
	}
	dir := d.req.Settings.Context
	source, err := d.rewrite(ctx, path.Join(dir, containerfile))
	if err != nil {
		return Image{}, d.unlessLinked(ctx, containerfile, err)
	}
	ctx, cancel := d.buildTime(ctx)
	defer cancel()
	archive, err := d.req.Checkout.Tar(ctx, dir)
	if err != nil {
		return Image{}, fmt.Errorf("read the build context: %w", err)
	}
	defer archive.Close()
	stream := newBuildContext(archive, containerfile, source.text)

	tag := d.tag()
	log, done := d.log.Section("review_build", fmt.Sprintf("Building %s from %s", tag, path.Join(dir, containerfile)))
	id, err := d.Containers.Build(ctx, BuildSpec{
		Tag:           tag,
		Context:       stream,
		Containerfile: containerfile,
		Heredocs:      source.heredocs,
		Args:          d.req.Settings.BuildArgs,
		Isolation:     d.Isolation,
		Target:        d.req.Settings.BuildTarget,
		Labels:        d.imageLabels(),
	}, source.log(log))
	done()
	if errors.Is(context.Cause(ctx), errBuildTimeout) {
		return Image{}, d.tooLong(containerfile)
	}
	if broken := stream.end(); broken != nil {
		return Image{}, broken // and not what the engine made of it
	}
	if err != nil {
		return Image{}, err
	}
	d.log.Step("image", "%s, built in %s", tag, Since(started))
	return d.Containers.Image(ctx, id)
}

// errBuildTimeout is the cause of a context that ended because of limits.build_timeout.
var errBuildTimeout = errors.New("the build took too long")

func (d *deploy) buildTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.Limits.BuildTimeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d.Limits.BuildTimeout, errBuildTimeout)
}

func (d *deploy) tooLong(containerfile string) error {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("%s was not built within %s, and the build was ended", containerfile, d.Limits.BuildTimeout),
		Hint: "the build's output is above; make the step quicker that it ends in, or ask the host's administrator: the limit is limits.build_timeout",
	}
}

// unlessLinked is why a Containerfile cannot be built: err, unless it is a symbolic
// link or below one. Then err is about another file.
func (d *deploy) unlessLinked(ctx context.Context, containerfile string, err error) error {
	archive, broken := d.req.Checkout.Tar(ctx, d.req.Settings.Context)
	if broken != nil {
		return err
	}
	defer archive.Close()
	stream := newBuildContext(archive, containerfile, nil)
	_, _ = io.Copy(io.Discard, stream) // end tells
	var link *Failure
	if errors.As(stream.end(), &link) {
		return link
	}
	return err
}

func (d *deploy) findContainerfile(ctx context.Context) (string, error) {
	s := d.req.Settings
	candidates := []string{"Containerfile", "Dockerfile"}
	if s.Containerfile != "" {
		candidates = []string{s.Containerfile}
	}
	for _, name := range candidates {
		found, err := d.req.Checkout.Has(ctx, path.Join(s.Context, name))
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", name, err)
		}
		if found {
			return name, nil
		}
	}
	return "", &Failure{
		Kind: Build,
		What: fmt.Sprintf("there is no %s in %q of this project", strings.Join(candidates, " and no "), s.Context),
		Hint: `add one, or name its place with REVIEW_CONTEXT and REVIEW_CONTAINERFILE under "variables:" in this job`,
	}
}
