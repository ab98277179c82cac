package reviewtest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// Checkout is a project's directory, a review.Checkout.
type Checkout struct {
	Fail  Fault
	Files map[string]string // contents by path
}

var _ review.Checkout = Checkout{}

// Has tells whether there is a file of that name.
func (c Checkout) Has(ctx context.Context, file string) (bool, error) {
	if err := c.Fail.before(ctx, "Has"); err != nil {
		return false, err
	}
	_, there := c.Files[file]
	return there, nil
}

// Read returns a file's content.
func (c Checkout) Read(ctx context.Context, file string, limit int64) ([]byte, error) {
	if err := c.Fail.before(ctx, "Read"); err != nil {
		return nil, err
	}
	if content, there := c.Files[file]; there && int64(len(content)) <= limit {
		return []byte(content), nil
	}
	return nil, errors.New("no such file, or too big: " + file)
}

// Tar streams a directory, its entries below a top directory of its name.
func (c Checkout) Tar(ctx context.Context, dir string) (io.ReadCloser, error) {
	if err := c.Fail.before(ctx, "Tar"); err != nil {
		return nil, err
	}
	below := map[string]string{}
	for name, content := range c.Files {
		inside, there := strings.CutPrefix(name, dir+"/")
		if dir == "." {
			inside, there = name, true
		}
		if there {
			below["top/"+inside] = content
		}
	}
	if len(below) == 0 {
		return nil, errors.New("no such directory: " + path.Join("/", dir))
	}
	return io.NopCloser(Tar(below)), nil
}

// Tar is a tar stream of files, contents by path.
func Tar(files map[string]string) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// What is written to memory cannot fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))})
		_, _ = io.WriteString(w, files[name])
	}
	_ = w.Close()
	return &b
}
