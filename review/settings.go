package review

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// settingPrefix begins every CI variable that is meant for us.
const settingPrefix = "REVIEW_"

// Settings is what a project sets of its app through CI variables. All of it
// is a stranger's word; ParseSettings checks it.
type Settings struct {
	// REVIEW_PORT; port that the app listens on. Without it, the port that the image exposes.
	Port uint16
	// REVIEW_HEALTH_PATH; path that answers with a status from 200 to 399 once the app is healthy. Without it, "/". An image's HEALTHCHECK is used in its place.
	HealthPath string
	// REVIEW_HEALTH_TIMEOUT; how long the app may take to become healthy: "90s", "2m", or seconds. Without it, limits.health_timeout.
	HealthTimeout time.Duration
	// REVIEW_CONTAINERFILE; path of the Containerfile in the context. Without it, Containerfile or Dockerfile.
	Containerfile string
	// REVIEW_CONTEXT; directory of the project that is built. Without it, the project's root. Its .git stays out.
	Context string
	// REVIEW_BUILD_TARGET; stage of the Containerfile to build. Without it, the last.
	BuildTarget string
	// REVIEW_ENV_<NAME>; NAME in the app's environment.
	Env map[string]string
}

var (
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	healthPath  = regexp.MustCompile(`^/([!-$&-~]|%[0-9A-Fa-f]{2})*$`) // printable ASCII without spaces, as a request line needs it
	buildTarget = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// reserved are the names that the app gets from us.
var reserved = []string{"PORT", "REVIEW_URL", "REVIEW_HOST", "REVIEW_SHA", "REVIEW_REF"}

// ParseSettings reads the REVIEW_ variables of a job. An empty value is as good
// as none, so that a template may pass its defaults. All problems are reported
// together. unknown lists REVIEW_ variables that mean nothing to us: most
// often misspelt ones.
func ParseSettings(variables map[string]string) (s Settings, unknown []string, err error) {
	s = Settings{HealthPath: "/", Context: ".", Env: map[string]string{}}
	var problems []error
	for _, key := range sortedKeys(variables) {
		name, ours := strings.CutPrefix(key, settingPrefix)
		value := variables[key]
		if !ours || (value == "" && !strings.HasPrefix(name, "ENV_")) {
			continue
		}
		known, err := s.set(name, value)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s%s %w", settingPrefix, Printable(name, 80), err))
		}
		if !known {
			unknown = append(unknown, Printable(key, 80))
		}
	}
	return s, unknown, errors.Join(problems...)
}

func (s *Settings) set(name, value string) (known bool, err error) {
	switch {
	case name == "PORT":
		s.Port, err = parsePort(value)
	case name == "HEALTH_PATH":
		s.HealthPath, err = checkText(value, healthPath, "must begin with / and hold neither spaces nor control characters, nor a % but in an escape such as %20")
	case name == "HEALTH_TIMEOUT":
		s.HealthTimeout, err = parseTimeout(value)
	case name == "CONTAINERFILE":
		s.Containerfile, err = checkContainerfile(value)
	case name == "CONTEXT":
		s.Context, err = checkRelative(value)
	case name == "BUILD_TARGET":
		s.BuildTarget, err = checkText(value, buildTarget, "must be the name of a build stage")
	case strings.HasPrefix(name, "ENV_"):
		err = s.setEnv(strings.TrimPrefix(name, "ENV_"), value)
	case slices.Contains(reserved, settingPrefix+name): // of an earlier job, through a dotenv report
	default:
		return false, nil
	}
	return true, err
}

func (s *Settings) setEnv(name, value string) error {
	switch {
	case !envName.MatchString(name):
		return errors.New("does not end in the name of an environment variable")
	case slices.Contains(reserved, name):
		return fmt.Errorf("cannot set %s: the app gets it from the host", name)
	case strings.ContainsRune(value, 0):
		return errors.New("holds a NUL byte")
	}
	s.Env[name] = value
	return nil
}

func parsePort(value string) (uint16, error) {
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("must be a port from 1 to 65535, not %s", Printable(value, 80))
	}
	return uint16(port), nil
}

// parseTimeout reads "90s" or "2m"; a bare number is seconds, as in most CI
// variables.
func parseTimeout(value string) (time.Duration, error) {
	if _, err := strconv.Atoi(value); err == nil {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 || d > time.Hour {
		return 0, fmt.Errorf("must be a time up to 1h such as 90s or 2m, not %s", Printable(value, 80))
	}
	return d, nil
}

// checkRelative takes a path within the project's directory.
func checkRelative(value string) (string, error) {
	clean := path.Clean(value)
	first, _, _ := strings.Cut(clean, "/")
	bad := path.IsAbs(value) || first == ".." || first == ".git" || Printable(value, 4096) != value
	if bad {
		return "", fmt.Errorf("must be a path inside the project, not %s", Printable(value, 80))
	}
	return clean, nil
}

// checkContainerfile takes a file within the context. One that ends in ".in"
// would be run through the C preprocessor on the host, with its #include.
func checkContainerfile(value string) (string, error) {
	clean, err := checkRelative(value)
	if err == nil && (clean == "." || strings.HasSuffix(clean, ".in")) {
		return "", fmt.Errorf("must be a file that does not end in .in, not %s", Printable(value, 80))
	}
	return clean, err
}

func checkText(value string, pattern *regexp.Regexp, rule string) (string, error) {
	if !pattern.MatchString(value) || len(value) > 1024 {
		return "", fmt.Errorf("%s, not %s", rule, Printable(value, 80))
	}
	return value, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
