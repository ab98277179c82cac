package pages

import (
	"bytes"
	"encoding/json"
)

// appsJSON is what the index page shows, for programs. Nothing in it tells when it
// was written, so that it stays as it is while the apps do.
func appsJSON(apps []app, ended []ending) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(struct {
		Apps  []app    `json:"apps"`
		Ended []ending `json:"ended"` // newest first, as many as the page shows
	}{apps, recent(ended)})
	return b.Bytes(), err
}
