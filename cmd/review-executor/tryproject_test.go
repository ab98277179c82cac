package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// TestTry_ProjectIsNotGitLabs: GitLab is not asked about what "try" has deployed.
func TestTry_ProjectIsNotGitLabs(t *testing.T) {
	p := newProject(t, map[string]string{"index.html": "hello"})
	p.try("main", "--variable", "REVIEW_STATIC=.").succeeded(t)
	data, err := os.ReadFile(filepath.Join(host.Dir, "state", "apps", "main.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record review.Record
	if err := json.Unmarshal(data, &record); err != nil || !review.Local(record.ProjectID) {
		t.Errorf("project %d, %v", record.ProjectID, err)
	}
}
