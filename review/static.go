package review

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// copySite copies the files of a static release to where the front serves them.
// They are a stranger's: plain files and directories, and links that stay among
// them. The directory has its name once it is complete.
func (d *deploy) copySite(ctx context.Context) error {
	started := time.Now()
	dir := d.req.Settings.Static
	found, err := d.req.Checkout.Has(ctx, dir)
	if err != nil {
		return fmt.Errorf("look for %s: %w", dir, err)
	}
	if !found {
		return &Failure{
			Kind: Build,
			What: fmt.Sprintf("there is no directory %q in this project", dir),
			Hint: "the job's script must have made the directory that REVIEW_STATIC names",
		}
	}
	archive, err := d.req.Checkout.Tar(ctx, dir)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	defer archive.Close()
	final := d.Records.SiteDir(d.app.Name, d.next.ID)
	if err := os.MkdirAll(path.Dir(final), 0o755); err != nil { //nolint:gosec // Apache's user reads it
		return fmt.Errorf("write site: %w", err)
	}
	partial := final + ".partial" // which Prune removes
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("write site: %w", err)
	}
	site := site{left: d.Limits.StaticSize, limit: d.Limits.StaticSize, dir: dir}
	if err := site.extract(archive, partial); err != nil {
		return err
	}
	if err := os.Rename(partial, final); err != nil {
		return fmt.Errorf("write site: %w", err)
	}
	d.log.Step("files", "%d of %s, copied in %s", site.files, dir, Since(started))
	return nil
}

// site is a directory of files on its way out of an archive.
type site struct {
	dir         string // its name in the project
	left, limit Bytes
	files       int
	links       []string
}

func (s *site) extract(archive io.Reader, into string) error {
	if err := os.Mkdir(into, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("write site: %w", err)
	}
	root, err := os.OpenRoot(into) // nothing in it leads out of it
	if err != nil {
		return fmt.Errorf("write site: %w", err)
	}
	defer root.Close()
	if err := root.Chmod(".", 0o755); err != nil { //nolint:gosec // whatever the umask says
		return fmt.Errorf("write site: %w", err)
	}
	in := tar.NewReader(archive)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return s.checkLinks(root)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", s.dir, err)
		}
		name, wanted := inContext(h.Name)
		if !wanted || name == "" {
			if h.Typeflag != tar.TypeDir && name == "" {
				return s.refused(s.dir, "is not a directory")
			}
			continue
		}
		if err := s.entry(root, name, h, in); err != nil {
			return err
		}
	}
}

func (s *site) entry(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	if s.left -= block; s.left < 0 {
		return s.tooMuch()
	}
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = makeDir(root, name)
	case tar.TypeReg:
		err = s.file(root, name, h, content)
	case tar.TypeSymlink:
		if err = makeDir(root, path.Dir(name)); err == nil {
			s.links = append(s.links, name)
			err = root.Symlink(h.Linkname, name)
		}
	case tar.TypeLink:
		target, wanted := inContext(h.Linkname)
		if !wanted {
			return s.refused(name, "is a link to what is not among these files")
		}
		s.links = append(s.links, name) // perhaps to a symbolic one
		err = root.Link(target, name)
	default:
		return s.refused(name, "is neither a file, a directory nor a link")
	}
	var f *Failure
	if err != nil && !errors.As(err, &f) {
		err = fmt.Errorf("write site: %w", err)
	}
	return err
}

// block is what an empty file or a link counts: it takes an inode.
const block = 4096

func (s *site) tooMuch() error {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("the files of %q are more than %s", s.dir, s.limit),
		Hint: "publish less, or ask the host's administrator to raise limits.static_size",
	}
}

func makeDir(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

func (s *site) file(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	if s.left -= Bytes(h.Size); s.left < 0 {
		return s.tooMuch()
	}
	if err := makeDir(root, path.Dir(name)); err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	s.files++
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Chmod(0o644), out.Close())
}

// checkLinks refuses a link that leaves the site. It follows each as the front
// would, over other links too.
func (s *site) checkLinks(root *os.Root) error {
	for _, name := range s.links {
		_, err := root.Stat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.refused(name, "is a symbolic link that leaves it")
		}
	}
	return nil
}

func (s *site) refused(name, why string) error {
	return &Failure{
		Kind:  Build,
		What:  fmt.Sprintf("%s in %q %s", Printable(name, 200), s.dir, why),
		State: "",
		Hint:  "a static site consists of files, directories and links among them",
	}
}
