package review

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// makeImage gets what the release consists of: an image that is built or pulled,
// or the files of a static site.
func (d *deploy) makeImage(ctx context.Context) (err error) {
	switch s := d.req.Settings; {
	case s.Static != "":
		return d.copySite(ctx)
	case s.Image != "":
		d.image, err = d.pull(ctx)
	default:
		d.image, err = d.build(ctx)
	}
	d.next.Image = d.image.ID
	return err
}

// imagesPrefix begins the names of all images of releases.
const imagesPrefix = "localhost/review/"

// ImageName is the name that the image of an app's release has in the store.
func ImageName(app, release string) string { return imagesPrefix + app + ":" + release }

// ParseImageName finds the app and the release in such a name.
func ParseImageName(name string) (app, release string, ok bool) {
	rest, ours := strings.CutPrefix(name, imagesPrefix)
	app, release, tagged := strings.Cut(rest, ":")
	return app, release, ours && tagged && CheckLabel(app) == nil
}

func (d *deploy) tag() string { return ImageName(d.app.Name, d.next.ID) }

// imageLabels are few, because each is a step in the build's output: those that
// find it again, and the project, because no other may run it.
func (d *deploy) imageLabels() map[string]string {
	return map[string]string{LabelApp: d.app.Name, LabelRelease: d.next.ID, LabelProjectID: strconv.FormatInt(d.app.ProjectID, 10)}
}

// pull gets the prebuilt image and gives it the release's name. The one that it was
// pulled by may mean another image tomorrow, and would keep this one for good.
func (d *deploy) pull(ctx context.Context) (Image, error) {
	started := time.Now()
	name := d.req.Settings.Image
	_, missing := d.Containers.Image(ctx, name)
	image, err := d.req.Pull(ctx, name, d.log.w)
	if err != nil {
		return Image{}, err
	}
	if missing != nil && !strings.HasPrefix(name, "localhost/") {
		if err := d.Containers.Untag(ctx, name); err != nil { // first: one that was pulled by its digest loses all
			return Image{}, err
		}
	}
	if err := d.Containers.Tag(ctx, image.ID, d.tag()); err != nil {
		return Image{}, err
	}
	d.log.Step("image", "%s, pulled in %s", name, Since(started))
	return image, nil
}
