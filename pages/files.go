package pages

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// writeFiles makes dir hold the files, and leaves those that do already as they are.
func writeFiles(dir string, files map[string][]byte) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	there, err := regularFiles(dir)
	if err != nil {
		return err
	}
	var problems []error
	for name, content := range files {
		file := filepath.Join(dir, name)
		if there[name] && holds(file, content) {
			continue
		}
		if err := replace(file, content); err != nil {
			problems = append(problems, fmt.Errorf("write %s: %w", file, err))
		}
	}
	return errors.Join(problems...)
}

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

// regularFiles are the names of the plain files in dir: nothing else is opened.
func regularFiles(dir string) (map[string]bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names[entry.Name()] = true
		}
	}
	return names, nil
}

func holds(file string, content []byte) bool {
	present, err := os.ReadFile(file)
	return err == nil && bytes.Equal(present, content)
}
