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

// everybody may read the files, whatever the umask: the web server's user, too.
var everybody = renameio.WithStaticPermissions(0o644)

// replace writes a file under root. No symbolic link leads out of it.
func replace(root *os.Root, name string, content []byte) error {
	if err := renameio.WriteFile(name, content, 0o644, everybody, renameio.WithRoot(root)); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(root.Name(), name), err)
	}
	return nil
}

func holds(root *os.Root, name string, content []byte) bool {
	present, err := root.ReadFile(name)
	return err == nil && bytes.Equal(present, content)
}

// openRoot opens the directory, with those under it, and makes what is missing.
func openRoot(dir string, subs ...string) (*os.Root, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range subs {
		err := root.Mkdir(sub, 0o755)
		if err == nil {
			err = root.Chmod(sub, 0o755)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			root.Close()
			return nil, err
		}
	}
	return root, nil
}

// regularFiles are the paths of the plain files in these directories under root:
// nothing else is opened.
func regularFiles(root *os.Root, dirs ...string) (map[string]bool, error) {
	names := map[string]bool{}
	for _, dir := range dirs {
		entries, err := fs.ReadDir(root.FS(), dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() {
				names[filepath.Join(dir, entry.Name())] = true
			}
		}
	}
	return names, nil
}
