package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

// ciJob is a job of a resolved .gitlab-ci.yml.
type ciJob struct {
	Script      []string
	Image       any
	Services    []struct{ Name, Alias string }
	Variables   map[string]string
	Environment struct {
		Name, URL, Action string
		OnStop            string `yaml:"on_stop"`
		AutoStopIn        string `yaml:"auto_stop_in"`
	}
	Artifacts struct {
		Reports struct{ Dotenv any }
	}
	ResourceGroup string `yaml:"resource_group"`
}

// resolve lets gitlab-ci-local read .gitlab-ci.yml with its includes and inputs.
func resolve(t *testing.T, file string) map[string]ciJob {
	t.Helper()
	tool := os.Getenv("GITLAB_CI_LOCAL")
	if _, err := os.Stat(tool); err != nil {
		t.Skip("gitlab-ci-local is not installed; scripts/test.sh does so where there is npm")
	}
	if out, err := exec.Command("node", "--version").Output(); err != nil || major(string(out)) < 20 {
		t.Skipf("gitlab-ci-local needs Node.js 20 or later, here is %q", out)
	}
	p := project{t, t.TempDir()}
	p.git("init", "--quiet", "--initial-branch", "feature/login")
	if err := os.CopyFS(filepath.Join(p.dir, "ci-templates"), os.DirFS(filepath.Join(hosttest.Root(), "ci-templates"))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "ci-templates", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	p.commit(map[string]string{".gitlab-ci.yml": string(text)})

	cmd := exec.Command(tool, "--preview")
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gitlab-ci-local: %v\n%s", err, stderr.String())
	}
	var all map[string]yaml.Node
	if err := yaml.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	jobs := map[string]ciJob{}
	for name, node := range all {
		var job ciJob
		if node.Kind == yaml.MappingNode && node.Decode(&job) == nil {
			jobs[name] = job
		}
	}
	return jobs
}

func major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(version), "v"), ".")
	n, _ := strconv.Atoi(first)
	return n
}

func TestTemplate_ResolvesWithDefaults(t *testing.T) {
	jobs := resolve(t, "defaults.gitlab-ci.yml")
	deploy, stop := jobs["review-app"], jobs["stop-review-app"]
	if e := deploy.Environment; e.Name != "review/$CI_COMMIT_REF_SLUG" || e.URL != "$REVIEW_URL" || e.OnStop != "stop-review-app" || e.AutoStopIn == "" {
		t.Errorf("environment of the deploying job: %+v", e)
	}
	if deploy.Artifacts.Reports.Dotenv != "review.env" {
		t.Errorf("dotenv report %v", deploy.Artifacts.Reports.Dotenv)
	}
	if e := stop.Environment; e.Name != deploy.Environment.Name || e.Action != "stop" {
		t.Errorf("environment of the stopping job: %+v", e)
	}
	if stop.Variables["GIT_STRATEGY"] != "none" {
		t.Errorf("the stopping job checks out: %v", stop.Variables)
	}
	if deploy.ResourceGroup == "" || deploy.ResourceGroup != stop.ResourceGroup {
		t.Errorf("resource groups %q and %q", deploy.ResourceGroup, stop.ResourceGroup)
	}
}

func TestTemplate_EveryInputArrives(t *testing.T) {
	job := resolve(t, "all-inputs.gitlab-ci.yml")["preview"]
	for key, want := range map[string]string{
		"REVIEW_CONTAINERFILE": "Containerfile.review", "REVIEW_CONTEXT": "shop", "REVIEW_BUILD_TARGET": "runtime",
		"REVIEW_PORT": "3000", "REVIEW_HEALTH_PATH": "/healthz?full=1", "REVIEW_HEALTH_TIMEOUT": "90s", "REVIEW_ENV_REDIS_URL": "redis://redis:6379",
		"REVIEW_IMAGE": "registry.example.org/shop:1", "REVIEW_STATIC": "public", "REVIEW_COMMAND": `["gunicorn", "shop.wsgi"]`,
		"REVIEW_RELEASE_COMMAND": `./manage.py migrate --noinput && ./manage.py loaddata "demo data"`,
		"REVIEW_VOLUMES":         "/data /app/uploads", "REVIEW_MEMORY": "512MiB", "REVIEW_CPUS": "0.5", "REVIEW_SLEEP_AFTER": "30m",
	} {
		if got := job.Variables[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(job.Services) != 1 || job.Services[0].Name != "docker.io/library/redis:7" || job.Services[0].Alias != "redis" {
		t.Errorf("services %+v", job.Services)
	}
	if len(job.Script) != 2 || job.Environment.Name != "review/shop-$CI_COMMIT_REF_SLUG" {
		t.Errorf("script %q, environment %+v", job.Script, job.Environment)
	}
}

// TestTemplate_EverySettingIsAnInput but those that are a family of names.
func TestTemplate_EverySettingIsAnInput(t *testing.T) {
	job := resolve(t, "defaults.gitlab-ci.yml")["review-app"]
	settings := reflect.TypeFor[review.Settings]()
	for i := range settings.NumField() {
		field := settings.Field(i)
		if field.Type.Kind() == reflect.Map {
			continue
		}
		name := "REVIEW_" + strings.ToUpper(betweenWords.ReplaceAllString(field.Name, "${1}_$2"))
		if value, found := job.Variables[name]; !found || value != "" {
			t.Errorf("%s is %q (%v)", name, value, found)
		}
	}
	if _, unknown, err := review.ParseSettings(job.Variables); err != nil || len(unknown) > 0 {
		t.Errorf("unknown %v, %v", unknown, err)
	}
}

var betweenWords = regexp.MustCompile("([a-z])([A-Z])")

// TestTemplate_BothJobsRun plays both jobs as the template makes them.
func TestTemplate_BothJobsRun(t *testing.T) {
	jobs := resolve(t, "defaults.gitlab-ci.yml")
	p := newProject(t, page("from the template"))
	p.git("branch", "feature/login")
	play := func(name string) result {
		job := jobs[name]
		args := []string{"--environment", job.Environment.Name}
		if job.Environment.Action == "stop" {
			args = append(args, "--stop")
		}
		for _, line := range job.Script {
			args = append(args, "--script", line)
		}
		for key, value := range job.Variables {
			args = append(args, "--variable", key+"="+value)
		}
		return p.try("feature/login", args...)
	}
	play("review-app").succeeded(t).says(t, "Ready: http://feature-login.review.localhost")
	if got := host.Get(t, "feature-login.review.localhost", "/", true); got.Status != 200 {
		t.Errorf("it answers %d", got.Status)
	}
	play("stop-review-app").succeeded(t).says(t, "Stopped review app feature-login")
}
