package runner

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cloneDepth is GitLab's default GIT_DEPTH.
const cloneDepth = 20

// resolve finds the branch's commit and fills in the branch. A branch that is
// gone will do for a stop, which needs none.
func (j *Job) resolve(ctx context.Context) (sha string, err error) {
	if j.Dir, err = git(ctx, j.Dir, "rev-parse", "--show-toplevel"); err != nil {
		return "", fmt.Errorf("no git checkout: %w", err)
	}
	if j.Branch == "" {
		j.Branch, err = git(ctx, j.Dir, "symbolic-ref", "--short", "HEAD")
		if err != nil {
			return "", fmt.Errorf("%s is not on a branch; name one with --branch: %w", j.Dir, err)
		}
	}
	if _, err := git(ctx, j.Dir, "check-ref-format", "refs/heads/"+j.Branch); err != nil {
		return "", fmt.Errorf("%q is not a name that git allows for a branch", j.Branch)
	}
	sha, err = git(ctx, j.Dir, "rev-parse", "--verify", "--quiet", "refs/heads/"+j.Branch+"^{commit}")
	if err != nil && j.Action == "stop" {
		return strings.Repeat("0", 40), nil
	}
	if err != nil {
		return "", fmt.Errorf("there is no branch %q in %s", j.Branch, j.Dir)
	}
	return sha, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(said)
		}
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// writeRepository writes the branch, as a shallow clone would get it, as a
// compressed archive of a .git directory. The helper container cannot reach
// this machine's disk, so the sources travel in the script.
func (p played) writeRepository(ctx context.Context, tmp string, w io.Writer) error {
	clone := filepath.Join(tmp, "clone.git")
	defer os.RemoveAll(clone)
	if _, err := git(ctx, tmp, "clone", "--quiet", "--bare", fmt.Sprintf("--depth=%d", cloneDepth), "--no-tags", "--branch="+p.Branch, (&url.URL{Scheme: "file", Path: p.Dir}).String(), clone); err != nil {
		return err
	}
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	if err := addDir(archive, os.DirFS(clone)); err != nil {
		return err
	}
	return errors.Join(archive.Close(), zip.Close())
}

// addDir archives plain files and directories, which is all that git makes, as
// root's.
func addDir(archive *tar.Writer, dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || (!entry.Type().IsRegular() && !entry.IsDir()) {
			return err
		}
		if name == "hooks" { // this machine's, from the user's template
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir}
		if !entry.IsDir() {
			header = &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: info.Size()}
		}
		if err := archive.WriteHeader(header); err != nil || entry.IsDir() {
			return err
		}
		file, err := dir.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(archive, file)
		return err
	})
}
