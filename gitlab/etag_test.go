package gitlab_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
	"gitlab.com/review-executor/review-executor/review"
)

func manyBranches(s *gitlabtest.Server, count int) {
	s.Change(7, func(p *gitlabtest.Project) {
		p.Branches, p.Environments = nil, nil
		for i := range count {
			p.Branches = append(p.Branches, fmt.Sprintf("b%04d", i))
			p.Environments = append(p.Environments, gitlabtest.Environment{ID: int64(i + 1), Name: fmt.Sprintf("review/%d", i)})
		}
	})
}

// files lists what lies below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestKept_UnchangedPagesAreNotSentAgain(t *testing.T) {
	s := start(t)
	manyBranches(s, 250)
	query := review.Query{ProjectID: 7, Since: time.Now().Add(-time.Minute)}
	c, dir := config(t, s), t.TempDir()
	first, err := open(t, c, dir).Survey(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	s.Reset()
	second, err := open(t, c, dir).Survey(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second, anyOrder); diff != "" || len(second.Branches) != 250 || len(second.Environments) != 250 {
		t.Error(diff)
	}
	if asked := len(s.Asked()); s.NotModified() != asked || asked != 8 {
		t.Errorf("%d of %d requests answered with 304", s.NotModified(), asked)
	}
	for _, file := range files(t, dir) {
		data, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(data), s.Token) {
			t.Errorf("%s: %v %v %v", file, err, statErr, info)
		}
	}
}

func TestKept_ChangesAreSeen(t *testing.T) {
	s := start(t)
	c, dir := config(t, s), t.TempDir()
	for range 2 {
		if _, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7}); err != nil {
			t.Fatal(err)
		}
	}
	s.Change(7, func(p *gitlabtest.Project) {
		p.Branches = []string{"main"}
		p.Environments[0].State = "stopped"
		p.Archived = true
	})
	got, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7})
	if err != nil || len(got.Branches) != 1 || len(got.Environments) != 0 || !got.Closed {
		t.Errorf("%+v, %v", got, err)
	}
	s.Remove(7)
	if got, err = open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7}); err != nil || !got.Missing {
		t.Errorf("removed: %+v, %v", got, err)
	}
}

// TestKept_FullPageMayHaveANextOneNow has a 304 say nothing of pages, and a page
// that is the same though there is another behind it now.
func TestKept_FullPageMayHaveANextOneNow(t *testing.T) {
	for _, before := range []int{99, 100, 150, 200} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			s := start(t)
			s.BareNotModified()
			c, dir := config(t, s), t.TempDir()
			for _, count := range []int{before, before, before + 1, before + 1, before} {
				manyBranches(s, count)
				got, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7})
				if err != nil || len(got.Branches) != count || len(got.Environments) != count {
					t.Fatalf("%d branches and %d environments, not %d: %v", len(got.Branches), len(got.Environments), count, err)
				}
			}
			if s.NotModified() == 0 {
				t.Error("nothing was kept")
			}
		})
	}
}

func TestKept_DamagedIsAskedForAnew(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":      func([]byte) []byte { return nil },
		"half":       func(data []byte) []byte { return data[:len(data)/2] },
		"no body":    func(data []byte) []byte { return data[:strings.Index(string(data), "\n")+1] },
		"other body": func(data []byte) []byte { return []byte(strings.ReplaceAll(string(data), "feature", "another")) },
		"no JSON":    func([]byte) []byte { return []byte("hello\n[]") },
		"null":       func([]byte) []byte { return []byte("null\n[]") },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c, dir := config(t, s), t.TempDir()
			want, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7})
			if err != nil {
				t.Fatal(err)
			}
			kept := files(t, dir)
			if len(kept) != 4 {
				t.Fatalf("kept are %s", kept)
			}
			for _, file := range kept {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, damage(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7})
			if diff := cmp.Diff(want, got, anyOrder); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// TestKept_IsNobodyElses shows another token and another GitLab nothing.
func TestKept_IsNobodyElses(t *testing.T) {
	s := start(t)
	c, dir := config(t, s), t.TempDir()
	if _, err := open(t, c, dir).Survey(t.Context(), review.Query{ProjectID: 7}); err != nil {
		t.Fatal(err)
	}
	s.Reset()
	s.Token = "glpat-another"
	if _, err := open(t, config(t, s), dir).Survey(t.Context(), review.Query{ProjectID: 7}); err != nil {
		t.Fatal(err)
	}
	if n := s.NotModified(); n != 0 {
		t.Errorf("%d answers to another token are used", n)
	}
}

func TestKept_WithoutADirectory(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		g := open(t, config(t, s), dir)
		if got, err := g.Survey(t.Context(), review.Query{ProjectID: 7}); err != nil || len(got.Branches) != 3 {
			t.Errorf("%q: %+v, %v", dir, got, err)
		}
		if level, err := g.AccessLevel(t.Context(), 7, 12); err != nil || level != 30 {
			t.Errorf("%q: %d, %v", dir, level, err)
		}
	}
}

func TestTrim_RemovesTheOldest(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Unix(int64(1_000_000-i*100), 0)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	gitlab.Trim(dir, 8, 1<<20)
	if got := len(files(t, dir)); got != 8 {
		t.Errorf("%d files of 8", got)
	}
	gitlab.Trim(dir, 8, 350)
	if diff := cmp.Diff([]string{dir + "/0", dir + "/1", dir + "/2"}, files(t, dir)); diff != "" {
		t.Error(diff)
	}
}
