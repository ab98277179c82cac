package review

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
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

func (d *deploy) tag() string {
	return fmt.Sprintf("localhost/review/%s:%s", d.app.Name, d.next.ID)
}

// imageLabels are few, because each is a step in the build's output: those that
// find it again, and the project, because no other may run it.
func (d *deploy) imageLabels() map[string]string {
	return map[string]string{LabelApp: d.app.Name, LabelRelease: d.next.ID, LabelProjectID: strconv.FormatInt(d.app.ProjectID, 10)}
}

// pull gets the prebuilt image and makes one of it that is the release's own, with
// labels: the pulled one may be anybody's, and its name may mean another image
// tomorrow.
func (d *deploy) pull(ctx context.Context) (Image, error) {
	started := time.Now()
	name := d.req.Settings.Image
	_, missing := d.Containers.Image(ctx, name)
	pulled, err := d.req.Pull(ctx, name, d.log.w)
	if err != nil {
		return Image{}, err
	}
	if err := d.checkTriggers(ctx, name, pulled.ID); err != nil {
		return Image{}, err
	}
	var output bytes.Buffer
	id, err := d.Containers.Build(ctx, BuildSpec{
		Tag:           d.tag(),
		Context:       fileAsTar("Containerfile", "FROM "+strings.TrimPrefix(pulled.ID, "sha256:")+"\n"),
		Containerfile: "Containerfile",
		Labels:        d.imageLabels(),
		Isolation:     d.Isolation,
	}, &output)
	if err != nil {
		return Image{}, fmt.Errorf("label image %s: %w\n%s", name, err, output.String())
	}
	if missing != nil && !strings.HasPrefix(name, "localhost/") {
		if err := d.Containers.Untag(ctx, name); err != nil { // or it would stay for good
			return Image{}, err
		}
	}
	d.log.Step("image", "%s, pulled in %s", name, Since(started))
	return d.Containers.Image(ctx, id)
}

// fileAsTar is an archive with one file.
func fileAsTar(name, content string) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}) // into memory
	_, _ = io.WriteString(w, content)
	_ = w.Close()
	return &b
}
