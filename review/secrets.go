package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"
)

// Secrets are the environments of a release and its companions. They lie beside
// the records, in files that only this program's user reads.
type Secrets struct {
	App        map[string]string            `json:"app"`
	Companions map[string]map[string]string `json:"companions,omitempty"` // by the companion's name
}

// releaseID is what newRelease makes, and so a harmless name of a file.
var releaseID = regexp.MustCompile(`^[0-9a-f]{7}-[0-9]{1,19}$`)

func checkRelease(app, release string) error {
	if err := CheckLabel(app); err != nil {
		return err
	}
	if !releaseID.MatchString(release) {
		return fmt.Errorf("%s is no release", Printable(release, 80))
	}
	return nil
}

// SaveSecrets keeps what a release of the app needs to be started again.
func (r *Records) SaveSecrets(app, release string, secrets Secrets) error {
	if err := checkRelease(app, release); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "secrets", app)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	data, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, release+".json"), data, 0o600); err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}

// LoadSecrets returns what SaveSecrets has kept. A release of which nothing was
// kept has none.
func (r *Records) LoadSecrets(app, release string) (Secrets, error) {
	var secrets Secrets
	if err := checkRelease(app, release); err != nil {
		return secrets, err
	}
	file := filepath.Join(r.dir, "secrets", app, release+".json")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets, nil
	}
	if err != nil {
		return secrets, fmt.Errorf("read secrets: %w", err)
	}
	if json.Unmarshal(data, &secrets) != nil { // its error may quote them
		return secrets, fmt.Errorf("secrets %s are damaged", file)
	}
	return secrets, nil
}

// SiteDir is where the files of a static release are.
func (r *Records) SiteDir(app, release string) string {
	return filepath.Join(r.dir, "sites", app, release)
}

// Files names the apps that have secrets or static files.
func (r *Records) Files() ([]string, error) {
	var apps []string
	for _, kind := range []string{"secrets", "sites"} {
		entries, err := os.ReadDir(filepath.Join(r.dir, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		for _, entry := range entries {
			apps = append(apps, entry.Name())
		}
	}
	return apps, nil
}

// Prune removes the secrets and the static files of every release of the app but
// those to keep.
func (r *Records) Prune(app string, keep func(release string) bool) error {
	if err := CheckLabel(app); err != nil {
		return err
	}
	var failed []error
	for _, kind := range []string{"secrets", "sites"} {
		dir := filepath.Join(r.dir, kind, app)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
		left := 0
		for _, entry := range entries {
			if keep(strings.TrimSuffix(entry.Name(), ".json")) {
				left++
				continue
			}
			failed = append(failed, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
		if left == 0 && err == nil {
			failed = append(failed, os.RemoveAll(dir))
		}
	}
	return errors.Join(failed...)
}
