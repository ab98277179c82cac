package runner

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newCheckout makes a git checkout with one commit on main.
func newCheckout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	inGit(t, "", "init", "--quiet", "--initial-branch", "main", dir)
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("the page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	commit(t, dir)
	return dir
}

func commit(t *testing.T, dir string) string {
	t.Helper()
	inGit(t, dir, "add", "--all")
	inGit(t, dir, "commit", "--quiet", "--allow-empty", "--message", "change")
	return inGit(t, dir, "rev-parse", "HEAD")
}

func inGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.org"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestResolve_FindsTheBranchesCommit(t *testing.T) {
	dir := newCheckout(t)
	head := inGit(t, dir, "rev-parse", "HEAD")
	inGit(t, dir, "tag", "main", "main") // the branch is meant
	inGit(t, dir, "switch", "--quiet", "--create", "feature/login")
	login := commit(t, dir)
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	inGit(t, dir, "tag", "--force", "main")
	for _, c := range []struct{ dir, branch, wantBranch, wantSHA string }{
		{dir, "main", "main", head},
		{dir, "feature/login", "feature/login", login},
		{dir, "", "feature/login", login},
		{below, "main", "main", head},
	} {
		j := Job{Dir: c.dir, Branch: c.branch, Action: "start"}
		sha, err := j.resolve(t.Context())
		if err != nil || sha != c.wantSHA || j.Branch != c.wantBranch || j.Dir != dir {
			t.Errorf("%q: commit %q of %q in %s (%v)", c.branch, sha, j.Branch, j.Dir, err)
		}
	}
}

func TestResolve_SaysWhatIsWrongWithABranch(t *testing.T) {
	dir := newCheckout(t)
	detached := newCheckout(t)
	inGit(t, detached, "switch", "--quiet", "--detach")
	inGit(t, dir, "tag", "v1")
	for name, c := range map[string]struct{ dir, branch, want string }{
		"no checkout":       {t.TempDir(), "main", "no git checkout"},
		"no directory":      {filepath.Join(dir, "missing"), "main", "no git checkout"},
		"not on a branch":   {detached, "", "is not on a branch; name one with --branch"},
		"no such branch":    {dir, "feature/login", `there is no branch "feature/login" in ` + dir},
		"a tag":             {dir, "v1", `there is no branch "v1"`},
		"a commit":          {dir, "HEAD", `there is no branch "HEAD"`},
		"two dots":          {dir, "a..b", `"a..b" is not a name that git allows for a branch`},
		"a space":           {dir, "a b", "is not a name that git allows"},
		"a line":            {dir, "a\nb", `"a\nb" is not a name that git allows`},
		"an option's value": {dir, "main^{commit}", "is not a name that git allows"},
		"a range":           {dir, "main~1", "is not a name that git allows"},
	} {
		j := Job{Dir: c.dir, Branch: c.branch, Action: "start"}
		if _, err := j.resolve(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestResolve_StopNeedsNoBranch(t *testing.T) {
	dir := newCheckout(t)
	j := Job{Dir: dir, Branch: "gone", Action: "stop"}
	if sha, err := j.resolve(t.Context()); err != nil || sha != strings.Repeat("0", 40) {
		t.Errorf("%q, %v", sha, err)
	}
	j.Branch = "a..b"
	if _, err := j.resolve(t.Context()); err == nil {
		t.Error("a stop takes any name")
	}
}

// TestRun_CheckoutMayHaveAnyPath has what a file URL would take for more than
// a name.
func TestRun_CheckoutMayHaveAnyPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a%41 b?#c")
	if err := os.Rename(newCheckout(t), dir); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e := newExecutor(t, runScripts)
	if err := (Job{Dir: dir, Branch: "main", Action: "start"}).Run(t.Context(), e.command(), &log); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

func TestRun_SaysThatUncommittedChangesStayBehind(t *testing.T) {
	dir := newCheckout(t)
	for _, dirty := range []bool{false, true} {
		if dirty {
			if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		if err := (Job{Dir: dir, Branch: "main", Action: "start"}).Run(t.Context(), newExecutor(t, "").command(), &log); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "not committed"); said != dirty {
			t.Errorf("dirty %v, but it said so: %v\n%s", dirty, said, log.String())
		}
	}
}
