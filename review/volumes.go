package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
)

// volumes makes the volumes for the paths, which are the app's, or those of one
// of its companions. They live as long as the app. made tells whether one of
// them is new, and so empty.
func (d *deploy) volumes(ctx context.Context, companion string, paths []string) (byName map[string]string, made bool, err error) {
	labels := map[string]string{
		LabelApp:         d.app.Name,
		LabelProject:     d.app.Project,
		LabelProjectID:   strconv.FormatInt(d.app.ProjectID, 10),
		LabelEnvironment: d.app.Environment,
		LabelRole:        RoleApp,
	}
	byName = map[string]string{}
	for _, dir := range paths {
		name := volumeName(d.app.Name, companion, dir)
		isNew, err := d.Containers.CreateVolume(ctx, name, labels, 0)
		if err != nil {
			return nil, false, err
		}
		made = made || isNew
		byName[name] = dir
	}
	return byName, made, nil
}

// volumeName is readable, and unique on this host: review-app-login-data-1a2b3c4d.
func volumeName(app, companion, dir string) string {
	sum := sha256.Sum256([]byte(app + "\x00" + companion + "\x00" + dir))
	return fmt.Sprintf("review-app-%s-%s-%s", app, slugify(path.Join(companion, dir)), hex.EncodeToString(sum[:])[:hashLength])
}

func volumeNames(volumes map[string]string) []string {
	return slices.Sorted(maps.Keys(volumes))
}
