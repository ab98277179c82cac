package pages

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// replace writes a file that everybody may read. A temporary file of a killed
// write stays in the same directory and begins with a dot.
func replace(file string, content []byte) error {
	return renameio.WriteFile(file, content, 0o644, renameio.WithStaticPermissions(0o644), renameio.WithTempDir(filepath.Dir(file)))
}

// makeDir makes a directory that everybody may read, whatever the umask.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// addRegularFiles notes the plain files in a directory under root: nothing else is
// opened.
func addRegularFiles(there map[string]bool, root, dir string) error {
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			there[filepath.Join(dir, entry.Name())] = true
		}
	}
	return nil
}

func holds(file string, content []byte) bool {
	present, err := os.ReadFile(file)
	return err == nil && bytes.Equal(present, content)
}
