package podman

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSpace_IsOfTheStore, which Podman is asked for once.
func TestSpace_IsOfTheStore(t *testing.T) {
	p := connect(t)
	p.StoreFile = filepath.Join(t.TempDir(), "podman.json")
	for range 2 {
		space, err := p.Space(t.Context())
		if err != nil || space.Disk <= 0 || space.Memory <= 0 {
			t.Errorf("%+v, %v", space, err)
		}
	}
	// Of a store that is not there, nothing is known, and it is asked for again.
	before, err := os.ReadFile(p.StoreFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"socket": "` + host.Socket() + `", "store": "/nowhere"}`, "{"} {
		if err := os.WriteFile(p.StoreFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if space, err := p.Space(t.Context()); err != nil || space.Disk <= 0 {
			t.Errorf("%s: %+v, %v", text, space, err)
		}
		if after, err := os.ReadFile(p.StoreFile); err != nil || string(after) != string(before) {
			t.Errorf("%s is kept: %s, %v", text, after, err)
		}
	}
}
