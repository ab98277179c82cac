package review_test

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// FuzzParseSettings: whatever is accepted keeps what Settings promises.
func FuzzParseSettings(f *testing.F) {
	for name, value := range map[string]string{
		"PORT": "8080", "HEALTH_PATH": "/%zz", "HEALTH_TIMEOUT": "1h", "CONTAINERFILE": "a/../b",
		"IMAGE": "registry/a:b", "STATIC": "public", "COMMAND": `["a", "b"]`, "RELEASE_COMMAND": "migrate", "VOLUMES": "/a, /b/c", "PUBLIC_PATHS": "/a/b, /c/*", "MEMORY": "1GiB", "CPUS": "1.5",
		"BUILD_ARG_X": "y", "CONTEXT": "./web", "BUILD_TARGET": "prod", "ENV_A": "b", "ENV_PORT": "1", "URL": "x", "": "",
	} {
		f.Add("REVIEW_"+name, value, "REVIEW_ENV_X", "y")
	}
	f.Fuzz(func(t *testing.T, key, value, key2, value2 string) {
		s, unknown, err := review.ParseSettings(map[string]string{key: value, key2: value2})
		for _, text := range unknown {
			if review.Printable(text, 100) != text {
				t.Errorf("%q is not printable", text)
			}
		}
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "REVIEW_") || review.Printable(line, 500) != line {
					t.Errorf("the problem %q names no variable or is not printable", line)
				}
			}
			return
		}
		check(t, s)
	})
}

func check(t *testing.T, s review.Settings) {
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:1"+s.HealthPath, nil)
	if err != nil || req.URL.Host != "127.0.0.1:1" {
		t.Errorf("the health path %q cannot be asked for: %v", s.HealthPath, err)
	}
	if s.HealthTimeout < 0 || s.HealthTimeout > time.Hour {
		t.Errorf("health timeout %s", s.HealthTimeout)
	}
	for _, dir := range s.Volumes {
		if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" || strings.ContainsAny(dir, ":, \n\"") || strings.HasPrefix(dir+"/", "/proc/") {
			t.Errorf("volume %q", dir)
		}
	}
	for _, public := range s.PublicPaths {
		base := strings.TrimSuffix(strings.TrimSuffix(public, "*"), "/")
		target, err := url.Parse("http://host" + public)
		if public == "/*" || strings.ContainsAny(public, "%?#;\\\" \n") || (base != "" && path.Clean(base) != base) || err != nil || target.Path != public {
			t.Errorf("public path %q", public)
		}
	}
	if s.Memory < 0 || s.CPUs < 0 || (s.Image != "" && s.Static != "") || strings.ContainsAny(s.Image, " \n\x00") {
		t.Errorf("%+v", s)
	}
	for _, command := range [][]string{s.Command, s.ReleaseCommand} {
		if command != nil && (len(command) == 0 || strings.Contains(strings.Join(command, ""), "\x00")) {
			t.Errorf("command %q", command)
		}
	}
	for _, place := range []string{s.Context, s.Containerfile, s.Static} {
		if place != "" && (path.Clean("/project/"+place) != path.Join("/project", place) || !strings.HasPrefix(path.Join("/project", place)+"/", "/project/")) {
			t.Errorf("%q is not in the project", place)
		}
		if review.Printable(place, 5000) != place {
			t.Errorf("%q is not printable", place)
		}
	}
	if s.BuildTarget != "" && !regexp.MustCompile(`\A[A-Za-z0-9][\w.-]*\z`).MatchString(s.BuildTarget) {
		t.Errorf("build target %q", s.BuildTarget)
	}
	for name, value := range s.Env {
		if name == "PORT" || strings.ContainsAny(name, "= \x00") || strings.Contains(value, "\x00") {
			t.Errorf("variable %q=%q", name, value)
		}
	}
}
