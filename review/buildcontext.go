package review

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// buildContext rewrites the archive of a directory as the context of a build:
// the top directory becomes the root, .git stays out (it may hold the job's
// token), and so do devices and pipes.
//
// The engine opens the Containerfile and the ignore files by their names on the
// host. A symbolic link there would make it read the host's own files, so the
// stream ends with a Failure of the kind Build when there is one.
func buildContext(archive io.Reader, containerfile string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		out := tar.NewWriter(w)
		err := copyContext(out, tar.NewReader(archive), containerfile)
		if err == nil {
			err = out.Close()
		}
		w.CloseWithError(err)
	}()
	return r
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
		default:
			continue
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
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

func linkRefused(name string) error {
	return &Failure{
		Kind: Build,
		What: fmt.Sprintf("%s is a symbolic link", Printable(name, 80)),
		Hint: "make it a plain file or directory: the build would follow the link on the host",
	}
}
