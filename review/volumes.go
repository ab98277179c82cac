package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
)

// volumes makes the volumes for the paths, which are the app's, or those of one
// of its companions. They live as long as the app. old are those that were there
// before, and have files of somebody.
func (d *deploy) volumes(ctx context.Context, companion string, paths []string) (byName map[string]string, old []string, err error) {
	labels := d.appLabels(RoleApp)
	byName = map[string]string{}
	for _, dir := range paths {
		name := volumeName(d.app.Name, companion, dir)
		made, err := d.Containers.CreateVolume(ctx, name, labels, 0)
		if err != nil {
			return nil, nil, err
		}
		if !made {
			old = append(old, name)
		}
		byName[name] = dir
	}
	return byName, old, nil
}

// volumeName is readable, and unique on this host: review-app-login-data-1a2b3c4d.
func volumeName(app, companion, dir string) string {
	sum := sha256.Sum256([]byte(app + "\x00" + companion + "\x00" + dir))
	return fmt.Sprintf("review-app-%s-%s-%s", app, slugify(path.Join(companion, dir)), hex.EncodeToString(sum[:])[:hashLength])
}
