package review

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func archiveOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contextEntries reads a build context to its end as an engine would, and
// returns its entries by name. The stream must be a whole archive.
func contextEntries(t testing.TB, archive io.Reader, containerfile string) (map[string]tar.Header, error) {
	t.Helper()
	c := newBuildContext(archive, containerfile, []byte("FROM ours\n"))
	entries, err := readEntries(c)
	if err != nil {
		t.Fatalf("the stream is no archive: %v", err)
	}
	return entries, c.end()
}

func readEntries(stream io.Reader) (map[string]tar.Header, error) {
	entries := map[string]tar.Header{}
	r := tar.NewReader(stream)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, stream)
			return entries, err
		}
		if err != nil {
			return entries, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return entries, err
		}
		entries[h.Name] = *h
	}
}

func TestBuildContext_TopDirectoryGitAndDevicesStayOut(t *testing.T) {
	archive := archiveOf(t,
		tar.Header{Name: "shop/", Typeflag: tar.TypeDir},
		tar.Header{Name: "shop/.git/config", Typeflag: tar.TypeReg, Size: 3},
		tar.Header{Name: "shop/.gitignore", Typeflag: tar.TypeReg, Size: 3},
		tar.Header{Name: "shop/Containerfile", Typeflag: tar.TypeReg, Size: 3},
		tar.Header{Name: "shop/src/", Typeflag: tar.TypeDir},
		tar.Header{Name: "shop/src/a", Typeflag: tar.TypeReg, Size: 1000},
		tar.Header{Name: "shop/src/hard", Typeflag: tar.TypeLink, Linkname: "shop/src/a"},
		tar.Header{Name: "shop/src/token", Typeflag: tar.TypeLink, Linkname: "shop/.git/config"},
		tar.Header{Name: "shop/src/soft", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		tar.Header{Name: "shop/pipe", Typeflag: tar.TypeFifo},
		tar.Header{Name: "shop/../../escape", Typeflag: tar.TypeReg, Size: 1},
	)
	entries, err := contextEntries(t, bytes.NewReader(archive), "Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, h := range entries {
		got[name] = h.Linkname
	}
	if size := entries["Containerfile"].Size; size != int64(len("FROM ours\n")) {
		t.Errorf("the Containerfile has %d bytes: it is not ours", size)
	}
	want := map[string]string{".gitignore": "", "Containerfile": "", "src": "", "src/a": "", "src/hard": "src/a", "src/soft": "/etc/passwd"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestBuildContext_LinkThatTheEngineWouldFollowEndsIt(t *testing.T) {
	for link, containerfile := range map[string]string{
		"Containerfile":                  "Containerfile",
		"docker":                         "docker/web/Containerfile",
		".dockerignore":                  "Containerfile",
		".containerignore":               "docker/Containerfile",
		"Containerfile.dockerignore":     "Containerfile",
		"web/Containerfile.dockerignore": "web/Containerfile",
	} {
		t.Run(link, func(t *testing.T) {
			archive := archiveOf(t,
				tar.Header{Name: "shop/" + containerfile, Typeflag: tar.TypeReg, Size: 10},
				tar.Header{Name: "shop/" + link, Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
				tar.Header{Name: "shop/later", Typeflag: tar.TypeReg, Size: 10},
			)
			entries, err := contextEntries(t, bytes.NewReader(archive), containerfile)
			if f := AsFailure(err); err == nil || f.Kind != Build {
				t.Errorf("it ended with %v, want a build failure", err)
			}
			if h, there := entries[containerfile]; !there || h.Size != 0 || h.Typeflag != tar.TypeReg {
				t.Errorf("the Containerfile is %+v, want an empty file", h)
			}
			for name, h := range entries {
				if h.Typeflag == tar.TypeSymlink {
					t.Errorf("the link %s is in the context", name)
				}
			}
		})
	}
}

func TestBuildContext_BrokenArchiveStaysWellFormed(t *testing.T) {
	whole := archiveOf(t,
		tar.Header{Name: "shop/Containerfile", Typeflag: tar.TypeReg, Size: 700},
		tar.Header{Name: "shop/a", Typeflag: tar.TypeReg, Size: 5000},
	)
	for _, n := range []int{0, 100, 600, 1500, 2000, 4000} {
		broken := io.MultiReader(bytes.NewReader(whole[:n]), brokenReader{})
		entries, err := contextEntries(t, broken, "Containerfile")
		if err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
		if entries["Containerfile"].Size != 0 {
			t.Errorf("cut after %d bytes: the Containerfile could be built", n)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

func FuzzBuildContext(f *testing.F) {
	f.Add(archiveOf(f, tar.Header{Name: "shop/Containerfile", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}), "Containerfile")
	f.Add(archiveOf(f, tar.Header{Name: "shop/a/../../b", Typeflag: tar.TypeReg, Size: 9}), "a/Containerfile")
	f.Add([]byte("no archive"), "Containerfile")
	f.Fuzz(func(t *testing.T, archive []byte, containerfile string) {
		if clean, err := checkRelative(containerfile); err != nil || clean != containerfile || clean == "." {
			t.Skip()
		}
		c := newBuildContext(bytes.NewReader(archive), containerfile, []byte("FROM ours\n"))
		entries, broken := readEntries(c)
		if err := c.end(); err == nil && broken != nil {
			t.Errorf("the stream is no archive (%v), and nothing was wrong with its source", broken)
		}
		for name, h := range entries {
			if opensByName(name, containerfile) && h.Typeflag == tar.TypeSymlink {
				t.Errorf("%s is a link in the context of %s", name, containerfile)
			}
		}
	})
}
