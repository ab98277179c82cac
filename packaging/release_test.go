// Package packaging_test tests what a release is made of. What the .deb does on a machine
// is tested by internal/acceptance.
package packaging_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// TestRelease_IsTheSameWhereverItIsMade makes a release of two copies of this checkout,
// in two directories and with two umasks.
func TestRelease_IsTheSameWhereverItIsMade(t *testing.T) {
	first := release(t, "one", "022")
	second := release(t, "another/deeper", "077")
	if diff := cmp.Diff(hashes(t, first), hashes(t, second)); diff != "" {
		t.Errorf("the same commit makes another release elsewhere:\n%s", diff)
	}
	version := strings.TrimSpace(run(t, filepath.Dir(filepath.Dir(first)), "scripts/version.sh"))
	t.Run("has everything", func(t *testing.T) { hasEverything(t, first, version) })
	t.Run("lists what it was built from", func(t *testing.T) { listsModules(t, first, version) })
	t.Run("has an archive with the files of the .deb", func(t *testing.T) { archived(t, first, version) })
	t.Run("lintian finds no error", func(t *testing.T) { lintian(t, first) })
	t.Run("rpm can read it", func(t *testing.T) { rpm(t, first, version) })
}

// release makes a release of a copy of this checkout, with what is not committed, and
// returns its directory.
func release(t *testing.T, name, umask string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	run(t, "..", "git", "clone", "--quiet", "--no-hardlinks", ".", dir)
	run(t, "..", "sh", "-c", `git ls-files --deleted -z | (cd "$0" && xargs -0 -r rm -f) && git ls-files -z --cached --others --exclude-standard |
		tar --create --null --ignore-failed-read --files-from - 2>/dev/null | tar -C "$0" --extract`, dir)
	run(t, dir, "mkdir", "build")
	run(t, "..", "make", "--no-print-directory", "build/nfpm")
	run(t, "..", "cp", "build/nfpm", filepath.Join(dir, "build"))
	run(t, dir, "sh", "-c", "umask "+umask+" && make --no-print-directory release")
	return filepath.Join(dir, "build", "release")
}

func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	return found
}

func hasEverything(t *testing.T, dir, version string) {
	want := []string{"SHA256SUMS"}
	for _, arch := range []string{"amd64", "arm64"} {
		name := "review-executor-" + version + "-linux-" + arch
		want = append(want, name+".cdx.json", name+".tar.gz", "review-executor_"+version+"-1_"+arch+".deb")
	}
	for _, arch := range []string{"x86_64", "aarch64"} {
		want = append(want, "review-executor-"+version+"-1."+arch+".rpm")
	}
	var got []string
	for name := range hashes(t, dir) {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if checked := run(t, dir, "sha256sum", "--check", "--strict", "SHA256SUMS"); strings.Count(checked, ": OK\n") != len(want)-1 {
		t.Errorf("SHA256SUMS has not all of %d files:\n%s", len(want)-1, checked)
	}
}

func listsModules(t *testing.T, dir, version string) {
	for _, arch := range []string{"amd64", "arm64"} {
		file, err := os.Open(filepath.Join(dir, "review-executor-"+version+"-linux-"+arch+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var bom cdx.BOM
		if err := cdx.NewBOMDecoder(file, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
			t.Fatal(err)
		}
		podman := slices.ContainsFunc(*bom.Components, func(c cdx.Component) bool { return strings.Contains(c.Name, "/podman/") })
		built := slices.Contains(*bom.Metadata.Properties, cdx.Property{Name: "golang:build:GOARCH", Value: arch})
		if !podman || !built || bom.Metadata.Component.Version != version {
			t.Errorf("of %s it lists version %s and %d components, Podman's: %v, built for it: %v", arch, bom.Metadata.Component.Version, len(*bom.Components), podman, built)
		}
	}
}

func archived(t *testing.T, dir, version string) {
	out := t.TempDir()
	run(t, dir, "sh", "-c", `mkdir "$0/deb" "$0/tar" && dpkg-deb --extract *_amd64.deb "$0/deb" && tar -C "$0/tar" -xzf *-amd64.tar.gz && diff -r "$0/deb" "$0/tar"`, out)
	if got := run(t, out, "tar/usr/bin/review-executor", "version"); !strings.HasPrefix(got, "review-executor "+version+" ") {
		t.Errorf("the program in it says %q", got)
	}
	if got := run(t, out, "tar/usr/bin/review-executor", "--config", "tar/etc/review-executor/config.toml", "apache-config"); !strings.Contains(got, "/var/lib/review-front/vhosts/*.conf") {
		t.Errorf("with the configuration in it, Apache gets\n%s", got)
	}
}

// tool skips the test where a Debian package cannot be had.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if out, err := exec.Command("../scripts/install.sh", name).CombinedOutput(); err != nil {
		t.Skipf("%s cannot be installed: %v\n%s", name, err, out)
	}
}

func lintian(t *testing.T, dir string) {
	tool(t, "lintian")
	run(t, dir, "sh", "-c", "lintian --allow-root --fail-on error *_amd64.deb")
}

func rpm(t *testing.T, dir, version string) {
	tool(t, "rpm")
	name := "review-executor-" + version + "-1.x86_64.rpm"
	got := run(t, dir, "rpm", "--query", "--package", "--queryformat", "%{NAME} %{VERSION} %{RELEASE} %{ARCH}\n", "--requires", "--scripts", name) +
		run(t, dir, "rpm", "--query", "--package", "--list", name) +
		"configuration:\n" + run(t, dir, "rpm", "--query", "--package", "--configfiles", name)
	for _, want := range []string{
		"review-executor " + version + " 1 x86_64\n", "/usr/bin/review-executor\n", "/usr/libexec/review-executor/purge\n",
		"/usr/lib/systemd/system/review-executor-sync.timer\n", "podman >= 5\n", "configuration:\n/etc/logrotate.d/review-executor\n/etc/review-executor/config.toml\n", "postuninstall scriptlet",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it has no %q:\n%s", want, got)
		}
	}
	run(t, dir, "rpm", "--checksig", "--nosignature", name) // its hashes
}

// run runs a command in a directory and returns what it has written to stdout.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
