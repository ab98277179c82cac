package review

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// buildContext is the archive of a directory on its way to become the context of a
// build: the top directory becomes the root, .git stays out (it may hold the
// job's token), and so do devices and pipes. The Containerfile is the one that we
// have written, whatever the archive has in its place by now.
//
// The engine opens the Containerfile and the ignore files by their names on the
// host. A symbolic link there would make it read the host's own files. When one
// comes, or when the archive breaks, the stream ends early but well-formed,
// with an empty Containerfile that cannot be built: an engine that loses its
// stream may leave behind what it has got (Podman 4.3 does). Only when it broke
// inside a big file, the stream breaks as well.
type buildContext struct {
	*io.PipeReader
	done chan struct{}
	err  error
}

func newBuildContext(archive io.Reader, containerfile string, text []byte) *buildContext {
	r, w := io.Pipe()
	c := &buildContext{PipeReader: r, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		out := tar.NewWriter(w)
		c.err = writeFile(out, containerfile, text)
		if c.err == nil {
			c.err = copyContext(out, tar.NewReader(archive), containerfile)
		}
		if c.err != nil {
			_ = out.WriteHeader(&tar.Header{Name: containerfile, Typeflag: tar.TypeReg, Mode: 0o644})
		}
		w.CloseWithError(out.Close())
	}()
	return c
}

// end gives the stream up and returns why it ended early, if it did. It is no
// Close, because an HTTP client calls that and breaks the request on an error.
func (c *buildContext) end() error {
	c.Close()
	<-c.done
	if errors.Is(c.err, io.ErrClosedPipe) {
		return nil // the engine had enough
	}
	return c.err
}

func copyContext(out *tar.Writer, in *tar.Reader, containerfile string) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the build context: %w", err)
		}
		name, wanted := inContext(h.Name)
		if !wanted {
			continue
		}
		h.Name = name
		if name == containerfile && h.Typeflag != tar.TypeSymlink {
			continue // ours was first
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeDir:
		case tar.TypeLink:
			if h.Linkname, wanted = inContext(h.Linkname); !wanted {
				continue
			}
		case tar.TypeSymlink:
			if opensByName(name, containerfile) {
				return linkRefused(name)
			}
			if climbs(name, h.Linkname) {
				return climbRefused(name, h.Linkname)
			}
		default:
			continue
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if err := copyFile(out, in, h.Size); err != nil {
			return err
		}
	}
}

func writeFile(out *tar.Writer, name string, text []byte) error {
	err := out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// maxFill is how much of a file is made up to keep a broken stream well-formed.
const maxFill = 16 << 20

// copyFile copies one entry's content. If the archive breaks in its middle,
// zeros fill the rest.
func copyFile(out io.Writer, in io.Reader, size int64) error {
	n, err := io.Copy(out, in)
	if err == nil {
		return nil
	}
	if size-n <= maxFill {
		_, _ = io.CopyN(out, zeros{}, size-n)
	}
	return fmt.Errorf("read the build context: %w", err)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// inContext takes the top directory off an entry's name.
func inContext(entry string) (name string, wanted bool) {
	clean := strings.TrimPrefix(path.Clean("/"+entry), "/")
	_, name, below := strings.Cut(clean, "/")
	first, _, _ := strings.Cut(name, "/")
	return name, below && first != ".git"
}

// opensByName tells whether the engine follows the entry on its way to a file
// that it opens by name.
func opensByName(entry, containerfile string) bool {
	for _, file := range []string{containerfile, containerfile + ".containerignore", containerfile + ".dockerignore", ".containerignore", ".dockerignore"} {
		if file == entry || strings.HasPrefix(file, entry+"/") {
			return true
		}
	}
	return false
}

// climbs tells whether a link leads to above the context by its words. An absolute
// one is relative to the image that it is copied into.
func climbs(name, target string) bool {
	return !path.IsAbs(target) && strings.HasPrefix(path.Join(path.Dir(name), target)+"/", "../")
}

// climbRefused says what Podman would say too, but then it would leave the context
// behind on the host (Podman 4.3).
func climbRefused(name, target string) error {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("%s is a symbolic link to %s, outside of what is built", Printable(name, 80), Printable(target, 80)),
		Hint: "remove the link, or build from a directory above with REVIEW_CONTEXT",
	}
}

func linkRefused(name string) error {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("%s is a symbolic link", Printable(name, 80)),
		Hint: "make it a plain file or directory: the build would follow the link on the host",
	}
}
