package review

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/openshift/imagebuilder/dockerfile/parser"
	"golang.org/x/sync/errgroup"
)

// rewritten is a Containerfile as the engine gets it.
type rewritten struct {
	text     []byte
	heredocs bool
	ids      map[string]string // of the images in it, by the names that the project gave them
}

// rewrite reads the project's Containerfile, gets the images that it names, and
// writes it anew with their IDs. See containerfile.
func (d *deploy) rewrite(ctx context.Context, file string) (rewritten, error) {
	text, err := d.req.Checkout.Read(ctx, file, maxContainerfile)
	if err != nil {
		return rewritten{}, fmt.Errorf("read %s: %w", file, err)
	}
	parsed, err := parseContainerfile(text, d.req.Settings.BuildArgs)
	if err != nil {
		return rewritten{}, err
	}
	ids, err := d.pullBases(ctx, parsed)
	return rewritten{parsed.render(ids, d.app.ProjectID), parsed.heredocs, ids}, err
}

// pullBases gets the images at the same time and returns their IDs by name. The
// build uses the IDs: by name, it could have any image of the store.
func (d *deploy) pullBases(ctx context.Context, file *containerfile) (map[string]string, error) {
	var (
		mu  sync.Mutex
		ids = map[string]string{}
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, name := range file.images() {
		group.Go(func() error {
			image, err := d.req.Pull(ctx, name, d.log.w)
			if err != nil {
				return err
			}
			mu.Lock()
			ids[name] = image.ID
			mu.Unlock()
			if !file.basis(name) {
				return nil
			}
			return d.checkTriggers(ctx, name, image.ID)
		})
	}
	return ids, group.Wait()
}

// checkTriggers refuses to build upon an image whose ONBUILD does what nobody has
// looked at: the engine runs it as if it were in the Containerfile.
func (d *deploy) checkTriggers(ctx context.Context, name, id string) error {
	triggers, err := d.Containers.Triggers(ctx, id)
	if err != nil || len(triggers) == 0 {
		return err
	}
	parsed, err := parser.Parse(strings.NewReader(strings.Join(triggers, "\n")))
	if err != nil {
		return &Failure{Kind: Build, What: fmt.Sprintf("image %s cannot be built upon", Printable(name, 200)), Cause: err, Hint: "use another image"}
	}
	for _, node := range parsed.AST.Children {
		if err := checkTrigger(node); err != nil {
			f := *AsFailure(err)
			f.What = fmt.Sprintf("image %s cannot be built upon", Printable(name, 200))
			f.Lines = []string{Printable("ONBUILD "+node.Original, 200)}
			f.Hint = "use another image, and write what its ONBUILD does into the Containerfile"
			return &f
		}
	}
	return nil
}

// log shows the images in a build's output by the names that the project knows.
func (r rewritten) log(w io.Writer) io.Writer {
	var pairs []string
	for name, id := range r.ids {
		pairs = append(pairs, id, Printable(name, 200))
	}
	return namedLog{w, strings.NewReplacer(pairs...)}
}

type namedLog struct {
	w     io.Writer
	names *strings.Replacer
}

func (l namedLog) Write(p []byte) (int, error) {
	if _, err := l.names.WriteString(l.w, string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
