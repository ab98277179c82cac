package review_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// defaults are the settings of a job that sets nothing.
func defaults() review.Settings {
	return review.Settings{HealthPath: "/", Context: ".", Env: map[string]string{}, BuildArgs: map[string]string{}}
}

func TestParseSettings_GoodValues(t *testing.T) {
	for variable, want := range map[string]func(*review.Settings){
		"REVIEW_PORT=1":                                 func(s *review.Settings) { s.Port = 1 },
		"REVIEW_PORT=65535":                             func(s *review.Settings) { s.Port = 65535 },
		"REVIEW_HEALTH_PATH=/healthz?deep=1&x=%20":      func(s *review.Settings) { s.HealthPath = "/healthz?deep=1&x=%20" },
		"REVIEW_HEALTH_TIMEOUT=90":                      func(s *review.Settings) { s.HealthTimeout = 90 * time.Second },
		"REVIEW_HEALTH_TIMEOUT=1m30s":                   func(s *review.Settings) { s.HealthTimeout = 90 * time.Second },
		"REVIEW_HEALTH_TIMEOUT=1h":                      func(s *review.Settings) { s.HealthTimeout = time.Hour },
		"REVIEW_CONTAINERFILE=docker/Dockerfile.web":    func(s *review.Settings) { s.Containerfile = "docker/Dockerfile.web" },
		"REVIEW_CONTAINERFILE=./a//b/../Containerfile":  func(s *review.Settings) { s.Containerfile = "a/Containerfile" },
		"REVIEW_CONTEXT=web":                            func(s *review.Settings) { s.Context = "web" },
		"REVIEW_CONTEXT=./":                             func(s *review.Settings) { s.Context = "." },
		"REVIEW_CONTEXT=..web/...":                      func(s *review.Settings) { s.Context = "..web/..." },
		"REVIEW_BUILD_TARGET=prod-1.0_x":                func(s *review.Settings) { s.BuildTarget = "prod-1.0_x" },
		"REVIEW_BUILD_ARG_VERSION=a b=c":                func(s *review.Settings) { s.BuildArgs["VERSION"] = "a b=c" },
		"REVIEW_IMAGE=registry.example.org:5000/a/b:v1": func(s *review.Settings) { s.Image = "registry.example.org:5000/a/b:v1" },
		"REVIEW_STATIC=./public/":                       func(s *review.Settings) { s.Static = "public" },
		"REVIEW_STATIC=.":                               func(s *review.Settings) { s.Static = "." },
		"REVIEW_COMMAND=run it; now":                    func(s *review.Settings) { s.Command = []string{"/bin/sh", "-c", "run it; now"} },
		`REVIEW_COMMAND= ["run", "it now", ""]`:         func(s *review.Settings) { s.Command = []string{"run", "it now", ""} },
		"REVIEW_RELEASE_COMMAND=./manage.py migrate":    func(s *review.Settings) { s.ReleaseCommand = []string{"/bin/sh", "-c", "./manage.py migrate"} },
		"REVIEW_VOLUMES=/var/lib/x, /data\n/data":       func(s *review.Settings) { s.Volumes = []string{"/data", "/var/lib/x"} },
		"REVIEW_PUBLIC_PATHS=/b/*, /a.b/c-d /":          func(s *review.Settings) { s.PublicPaths = []string{"/", "/a.b/c-d", "/b/*"} },
		"REVIEW_PUBLIC_PATHS=/.well-known/x/":           func(s *review.Settings) { s.PublicPaths = []string{"/.well-known/x/"} },
		"REVIEW_MEMORY=512MiB":                          func(s *review.Settings) { s.Memory = 512 << 20 },
		"REVIEW_CPUS=0.5":                               func(s *review.Settings) { s.CPUs = 0.5 },
		"REVIEW_ENV_DATABASE_URL=a=b c\nd\t'é":          func(s *review.Settings) { s.Env["DATABASE_URL"] = "a=b c\nd\t'é" },
		"REVIEW_ENV__x1=y":                              func(s *review.Settings) { s.Env["_x1"] = "y" },
		"REVIEW_ENV_REVIEW_THEME=dark":                  func(s *review.Settings) { s.Env["REVIEW_THEME"] = "dark" },
		"REVIEW_ENV_EMPTY=":                             func(s *review.Settings) { s.Env["EMPTY"] = "" },

		// What an earlier job's dotenv report has is not for us.
		"REVIEW_URL=https://x": func(*review.Settings) {},
		"REVIEW_HOST=x":        func(*review.Settings) {},
		"REVIEW_SHA=x":         func(*review.Settings) {},
		"REVIEW_REF=x":         func(*review.Settings) {},
		"PORT=x":               func(*review.Settings) {},
		"CI_JOB_ID=4711":       func(*review.Settings) {},
		"review_port=http":     func(*review.Settings) {},
		"XREVIEW_PORT=http":    func(*review.Settings) {},
	} {
		key, value, _ := strings.Cut(variable, "=")
		got, unknown, err := review.ParseSettings(map[string]string{key: value})
		if err != nil || len(unknown) > 0 {
			t.Errorf("%s: unknown %v, %v", variable, unknown, err)
		}
		settings := defaults()
		want(&settings)
		if diff := cmp.Diff(settings, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", variable, diff)
		}
	}
}

func TestParseSettings_BadValues(t *testing.T) {
	for key, values := range map[string][]string{
		"REVIEW_PORT must be a port from 1 to 65535, not ":      {"0", "65536", "-1", "http", "80/tcp", " 80", "8_0", "0x50"},
		"REVIEW_HEALTH_PATH must begin with /":                  {"healthz", "http://evil/", "/a b", "/a\nHost: b", "/100%", "/%zz", "/é", "/\x7f", "/" + strings.Repeat("a", 1024)},
		"REVIEW_HEALTH_TIMEOUT must be a time up to 1h":         {"0", "-5", "-1s", "61m", "3601", "soon", "1h1ns", "9999999999999999999", "1,5s", " "},
		"REVIEW_CONTAINERFILE must be a path inside":            {"/etc/Containerfile", "../Containerfile", "a/../../b", "..", "a\nb", "\x00"},
		"REVIEW_CONTEXT must be a path inside":                  {"/", "/etc", "..", "../..", "web/../..", "a\x1b[31m"},
		"REVIEW_BUILD_TARGET must be the name of a build stage": {"-x", "a b", "a/b", ".a", "a\n", strings.Repeat("a", 129)},
		"REVIEW_BUILD_ARG_A-B does not name an environment":     {"x"},
		"REVIEW_IMAGE must be the name of an image":             {"a b", "-x", "dir:/etc name", "a\n", "é"},
		"REVIEW_STATIC must be a path inside":                   {"/var/www", "..", ".git"},
		"REVIEW_COMMAND must be a":                              {"[]", `["a", 1]`, `[""]`, "[run", "a\x00", strings.Repeat("x", 17<<10)},
		"REVIEW_RELEASE_COMMAND must be a":                      {"[]", `["a\u0000"]`},
		"REVIEW_VOLUMES must list":                              {",", "data", "/", "/data/..", "/a b/../c", "/proc/1", "/sys", "/dev/shm", "/a:b", "//a", "/a/", "/" + strings.Join(strings.Split("abcdefghijklmnopq", ""), " /")},
		"REVIEW_PUBLIC_PATHS must list":                         {",", "a", "//a", "/a//b", "/a/..", "/../a", "/a/./b", "/a/.../b", "/a%2fb", "/a b%", "/a?b", "/a#", "/a;b", "/a\\b", "/a*", "/*/a", "/a/**", "/é", "/a\"", "/$a", "/a\x00", "/" + strings.Repeat("a", 200), "/" + strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFG", ""), " /")},
		"REVIEW_PUBLIC_PATHS cannot open the whole app":         {"/*", "/a /*"},
		"REVIEW_MEMORY must be an amount":                       {"much", "1MiB", "-1", "0"},
		"REVIEW_CPUS must be a number":                          {"0", "-1", "all", "NaN", "Inf", "1e9"},
		"REVIEW_ENV_PORT cannot set PORT":                       {"80", ""},
		"REVIEW_ENV_REVIEW_URL cannot set REVIEW_URL":           {"x"},
		"REVIEW_ENV_REVIEW_HOST cannot set REVIEW_HOST":         {"x"},
		"REVIEW_ENV_REVIEW_SHA cannot set REVIEW_SHA":           {"x"},
		"REVIEW_ENV_REVIEW_REF cannot set REVIEW_REF":           {"x"},
		"REVIEW_ENV_NUL holds a NUL byte":                       {"\x00", "a\x00b"},
		"REVIEW_ENV_ does not name an environment":              {"x", ""},
		"REVIEW_ENV_1X does not name an environment":            {"x"},
		"REVIEW_ENV_A-B does not name an environment":           {"x"},
	} {
		name, _, _ := strings.Cut(key, " ")
		for _, value := range values {
			_, _, err := review.ParseSettings(map[string]string{name: value})
			isProblem(t, name+"="+value, err, key)
			if err != nil && strings.ContainsAny(err.Error(), "\x00\n\x1b\x7f") {
				t.Errorf("%q is not printable", err)
			}
		}
	}
}

func TestParseSettings_AllProblemsAtOnce(t *testing.T) {
	_, unknown, err := review.ParseSettings(map[string]string{
		"REVIEW_PROT":           "80",
		"REVIEW_PORT":           "http",
		"REVIEW_CONTEXT":        "../..",
		"REVIEW_ENV_PORT":       "1",
		"REVIEW_\x1b[31m":       "x",
		"REVIEW_HEALTH_TIMEOUT": "soon",
		"REVIEW_BUILD_TARGET":   "prod",
	})
	if err == nil {
		t.Fatal("no problem was found")
	}
	want := []string{
		"REVIEW_CONTEXT must be a path inside the project, not ../..",
		"REVIEW_ENV_PORT cannot set PORT: the app gets it from the host",
		"REVIEW_HEALTH_TIMEOUT must be a time up to 1h such as 90s or 2m, not soon",
		"REVIEW_PORT must be a port from 1 to 65535, not http",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"REVIEW_?[31m", "REVIEW_PROT"}, unknown); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

func TestParseSettings_EmptyValueIsAsGoodAsNone(t *testing.T) {
	variables := map[string]string{"REVIEW_MISSPELT": "", "REVIEW_": ""}
	for _, key := range []string{"PORT", "HEALTH_PATH", "HEALTH_TIMEOUT", "CONTAINERFILE", "CONTEXT", "BUILD_TARGET"} {
		variables["REVIEW_"+key] = ""
	}
	got, unknown, err := review.ParseSettings(variables)
	if err != nil || len(unknown) > 0 {
		t.Errorf("unknown %v, %v", unknown, err)
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestLimits_EveryProblemIsNamed by its key in the configuration.
func TestLimits_EveryProblemIsNamed(t *testing.T) {
	good := review.LimitDefaults()
	good.HealthTimeout, good.Drain, good.Apps = time.Hour, time.Nanosecond, 0
	if problems := good.Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	var got []string
	for _, problem := range (review.Limits{HealthTimeout: time.Hour + 1, StopGrace: -1, Apps: -1, AppsPerProject: -1}).Problems() {
		key, _, _ := strings.Cut(problem.Error(), ":")
		got = append(got, key)
	}
	if want := []string{
		"limits.apps", "limits.apps_per_project", "limits.build_timeout", "limits.drain", "limits.health_timeout", "limits.release_timeout", "limits.sleep_after", "limits.sleep_after_max", "limits.static_size", "limits.stop_grace",
	}; !slices.Equal(want, got) {
		t.Errorf("%v, want %v", got, want)
	}
}
