package packaging_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVersion_FollowsTagsAndCommits asks the script in a repository of its own.
func TestVersion_FollowsTagsAndCommits(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("VERSION", "")
	for _, variable := range []string{"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"} {
		t.Setenv(variable, "Test")
	}
	for _, variable := range []string{"GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"} {
		t.Setenv(variable, "test@example.org")
	}
	t.Setenv("GIT_COMMITTER_DATE", "2026-01-31T23:30:00-05:00")
	run(t, dir, "git", "init", "--quiet")
	run(t, ".", "sh", "-c", `mkdir "$0/scripts" && cp ../scripts/version.sh "$0/scripts"`, dir)
	git := func(args ...string) { run(t, dir, "git", args...) }
	version := func() string { return strings.TrimSpace(run(t, dir, "scripts/version.sh")) }
	is := func(pattern string) {
		t.Helper()
		if got := version(); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("the version is %q, want %s", got, pattern)
		}
	}

	git("add", ".")
	git("commit", "--quiet", "--message", "first")
	is(`0\.0~git20260201\.[0-9a-f]{7}`)
	git("tag", "v1.2.0-rc1")
	is(`1\.2\.0~rc1`)
	git("tag", "--delete", "v1.2.0-rc1")
	git("tag", "v1.2.0")
	is(`1\.2\.0`)
	git("commit", "--quiet", "--allow-empty", "--message", "second")
	is(`1\.2\.0\+1\.g[0-9a-f]{7}`)
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is(`1\.2\.0\+1\.g[0-9a-f]{7}\+dirty`)
	t.Setenv("VERSION", "3.0")
	is(`3\.0`)
}
