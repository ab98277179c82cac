package review_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestReadPrivate_RefusesWhatOthersReach(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := review.ReadPrivate(file, 6); err != nil || string(data) != "s3cret" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := review.ReadPrivate(file, 5); err == nil || data != nil || !strings.Contains(err.Error(), "more than 5 bytes") {
		t.Errorf("too long: %q, %v", data, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o601} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if data, err := review.ReadPrivate(file, 6); err == nil || data != nil || !strings.Contains(err.Error(), "chmod 600 it") {
			t.Errorf("%#o: %q, %v", mode, data, err)
		}
	}
	if _, err := review.ReadPrivate(file+"x", 6); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
