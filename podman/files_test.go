package podman

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteFile_EverybodyInTheContainerReadsIt(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	content := "line\n\x00\xff binary\n" + strings.Repeat("x", 100_000)
	for range 2 { // it replaces
		if err := p.WriteFile(t.Context(), id, "/etc/hello", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _, _ := execScript(t, p, id, "cat /etc/hello", "")
	if stdout != content {
		t.Errorf("the file has %d bytes, want %d", len(stdout), len(content))
	}
	if mode, _, _ := execScript(t, p, id, "stat -c %a /etc/hello", ""); mode != "644\n" {
		t.Errorf("mode %q, want 644", mode)
	}
	if err := p.WriteFile(t.Context(), "no-such-container", "/etc/hello", nil); err == nil || !strings.Contains(err.Error(), "/etc/hello") {
		t.Errorf("a missing container: %v, want an error that names the file", err)
	}
}

func TestHas(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	execScript(t, p, id, "mkdir -p /project/dir; cd /project; touch file; ln -s file link; ln -s nowhere broken", "")
	for file, want := range map[string]bool{"file": true, "dir": true, "link": true, "broken": true, "missing": false, "missing/file": false, "file/below": false} {
		got, err := p.Has(t.Context(), id, "/project/"+file)
		if err != nil || got != want {
			t.Errorf("has %s: %t, %v; want %t", file, got, err, want)
		}
	}
}

func TestTar_EntriesAreBelowOneTopDirectory(t *testing.T) {
	p := connect(t)
	id := shell(t, p)
	execScript(t, p, id, "mkdir -p /project/src; cd /project; echo hello >src/a; chmod 750 src/a; ln -s a src/link; touch .hidden", "")
	for _, dir := range []string{"/project", "/project/"} {
		stream, err := p.Tar(t.Context(), id, dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for r := tar.NewReader(stream); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			_, below, _ := strings.Cut(strings.Trim(h.Name, "/"), "/")
			got[below] = string(content) + h.Linkname
		}
		stream.Close()
		want := map[string]string{"": "", "src": "", "src/a": "hello\n", "src/link": "a", ".hidden": ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dir, diff)
		}
	}
	if _, err := p.Tar(t.Context(), id, "/missing"); err == nil || !strings.Contains(err.Error(), "/missing") {
		t.Errorf("a missing directory: %v, want an error that names it", err)
	}
}
