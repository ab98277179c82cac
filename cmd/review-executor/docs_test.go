package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// blocks returns the fenced blocks of a language on a page.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(hosttest.Root(), page))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range fence.FindAllStringSubmatch(string(text), -1) {
		if match[1] == language {
			found = append(found, match[2])
		}
	}
	return found
}

// TestDocs_EveryCommandRuns runs every command of every page as it stands
// there, but for DIR and the registry. "make test" is what runs this test. Those of
// docs/packages.md change a whole machine: internal/acceptance runs them.
func TestDocs_EveryCommandRuns(t *testing.T) {
	for _, doc := range []string{"README.md", "docs/getting-started.md", "docs/apps.md", "docs/administration.md", "docs/lifecycle.md", "docs/troubleshooting.md", "docs/architecture.md", "examples/hello/README.md", "examples/django/README.md"} {
		t.Run(doc, func(t *testing.T) {
			p := newProject(t, page("from the docs"))
			for _, block := range blocks(t, doc, "sh") {
				for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
					if line == "make test" {
						continue
					}
					runLine(t, strings.NewReplacer("DIR", p.dir, "docker.io/library/redis:7", "localhost/review-demo/redis").Replace(line))
				}
			}
		})
	}
}

func runLine(t *testing.T, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = hosttest.Root()
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"),
		"REVIEW_EXECUTOR_CONFIG="+host.Config(),
		"REVIEW_DEMO="+filepath.Join(host.Dir, "demo"), // one may be running in this checkout
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	checkDemo(t, line, string(out))
}

// checkDemo holds the demo to what it is there to show.
func checkDemo(t *testing.T, line, out string) {
	t.Helper()
	shows := map[string][]string{
		"make demo": {
			"without the password:   401 Unauthorized\n",
			"a name that is no app:  404 Not Found\n",
			"Ready: http://feature-blue.review.localhost:", "Ready: http://feature-red.review.localhost:",
		},
		"make demo-stop": {"Stopped review app feature-blue", "virtual hosts of apps, records\nNothing."},
	}[line]
	for _, want := range shows {
		if !strings.Contains(out, want) {
			t.Errorf("%s does not show %q:\n%s", line, want, out)
		}
	}
	if line != "make demo" {
		return
	}
	var commits []string
	for _, match := range regexp.MustCompile(`(?m)^(?:with it|the other branch|the new commit): .* commit ([0-9a-f]{40})$`).FindAllStringSubmatch(out, -1) {
		commits = append(commits, match[1][:7])
	}
	deployed := regexp.MustCompile(`localhost/review/[a-z-]+:([0-9a-f]{7})-\d+, built in`).FindAllStringSubmatch(out, -1)
	if len(commits) != 3 || len(deployed) != 3 {
		t.Fatalf("make demo shows commits %v of deploys %v:\n%s", commits, deployed, out)
	}
	for i, commit := range commits {
		if deployed[i][1] != commit {
			t.Errorf("deploy %d was of %s and serves %s", i+1, deployed[i][1], commit)
		}
	}
}

// TestDocs_ConfigurationExamplesAreValid reads every TOML block.
func TestDocs_ConfigurationExamplesAreValid(t *testing.T) {
	found := 0
	for _, page := range []string{"README.md", "docs/getting-started.md", "docs/apps.md", "docs/gitlab.md", "docs/logins.md", "docs/troubleshooting.md", "docs/configuration.md"} {
		for _, block := range blocks(t, page, "toml") {
			found++
			if !strings.Contains(block, "[[runners]]") {
				settings := defaultSettings()
				if err := decodeSettings([]byte(block), &settings); err != nil {
					t.Errorf("%s: %v\n%s", page, err, block)
				}
				continue
			}
			var runner struct {
				Runners []struct {
					Executor string
					Custom   map[string]any
				}
			}
			if err := toml.Unmarshal([]byte(block), &runner); err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
				args, _ := runner.Runners[0].Custom[stage+"_args"].([]any)
				if len(args) != 1 || args[0] != stage {
					t.Errorf("%s: %s_args is %v", page, stage, args)
				}
			}
		}
	}
	if found != 9 {
		t.Errorf("%d TOML blocks in the docs, want 9", found)
	}
}

// TestDocs_ApacheExampleIsAccepted lets Apache read the configuration of its
// own, with the rest that the page's settings make and the paths of the test's host.
func TestDocs_ApacheExampleIsAccepted(t *testing.T) {
	const page = "docs/getting-started.md"
	found := blocks(t, page, "apache")
	if len(found) != 1 {
		t.Fatalf("%d Apache configurations, want 1", len(found))
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		text = strings.NewReplacer("/var/lib/review-executor", host.Dir, "/etc/review-executor", dir).Replace(text)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	settings := write("config.toml", blocks(t, page, "toml")[0])
	write("apache-base.conf", runWith(t, nil, "--config", settings, "apache-config").succeeded(t).stdout)
	file := write("apache.conf", found[0])
	if out, err := exec.Command("/usr/sbin/apache2", "-f", file, "-t").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDocs_LinksLeadSomewhere follows every relative link.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		pages, err := filepath.Glob(filepath.Join(hosttest.Root(), pattern))
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: %v %v", pattern, pages, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range link.FindAllStringSubmatch(string(text), -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
		}
	}
}
