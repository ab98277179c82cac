package review

import (
	"context"
	"fmt"
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
	archive, err := d.req.Checkout.Tar(ctx, dir)
	if err != nil {
		return Image{}, fmt.Errorf("read the build context: %w", err)
	}
	defer archive.Close()
	stream := newBuildContext(archive, containerfile)

	tag := d.tag()
	log, done := d.log.Section("review_build", fmt.Sprintf("Building %s from %s", tag, path.Join(dir, containerfile)))
	id, err := d.Containers.Build(ctx, BuildSpec{
		Tag:           tag,
		Context:       stream,
		Containerfile: containerfile,
		Isolation:     d.Isolation,
		Target:        d.req.Settings.BuildTarget,
		Args:          d.req.Settings.BuildArgs,
		Labels:        d.imageLabels(),
	}, log)
	done()
	if broken := stream.end(); broken != nil {
		return Image{}, broken // and not what the engine made of it
	}
	if err != nil {
		return Image{}, err
	}
	d.log.Step("image", "%s, built in %s", tag, Since(started))
	return d.Containers.Image(ctx, id)
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
