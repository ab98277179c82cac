package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
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
	// REVIEW_BUILD_ARG_<NAME>; value of ARG NAME in the Containerfile. It is not secret: the image tells it.
	BuildArgs map[string]string
	// REVIEW_IMAGE; image to run in place of a build, pulled with the job's credentials.
	Image string
	// REVIEW_STATIC; directory of files that the front serves itself, without a container. The job's script may have made it.
	Static string
	// REVIEW_COMMAND; command in place of the image's CMD, written as there: a line for the shell, or a JSON list.
	Command []string
	// REVIEW_RELEASE_COMMAND; command that runs once in the new image before anybody sends requests to it, such as a migration, on the app's network and volumes. If it fails, so does the deploy. Written as REVIEW_COMMAND.
	ReleaseCommand []string
	// REVIEW_VOLUMES; directories of the container, split on commas and spaces, whose files are kept across redeploys and go with the app.
	Volumes []string
	// REVIEW_PUBLIC_PATHS; paths, split on commas and spaces, that need no password, such as those that webhooks are sent to: "/payments/webhook". Exactly these, with any query; one that ends in "/*" is every plain path below it.
	PublicPaths []string
	// REVIEW_MEMORY; memory that the app may use: "512MiB". At most, and without it, isolation.memory.
	Memory Bytes
	// REVIEW_CPUS; processors that the app may use: "0.5". At most, and without it, isolation.cpus.
	CPUs float64
	// REVIEW_SLEEP_AFTER; how long the app may have no connection before it sleeps, until its next request: "30m", or "never". At most limits.sleep_after_max, and without it, limits.sleep_after.
	SleepAfter SleepAfter
	// REVIEW_ENV_<NAME>; NAME in the app's environment.
	Env map[string]string
}

var (
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	healthPath  = regexp.MustCompile(`^/([!-$&-~]|%[0-9A-Fa-f]{2})*$`) // printable ASCII without spaces, as a request line needs it
	imageName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	volumePath  = regexp.MustCompile(`^/[A-Za-z0-9._@+/-]+$`)
	buildTarget = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// reserved are the names that the app gets from us.
var reserved = []string{"PORT", "REVIEW_URL", "REVIEW_HOST", "REVIEW_SHA", "REVIEW_REF"}

// ParseSettings reads the REVIEW_ variables of a job. An empty value is as good
// as none, so that a template may pass its defaults. All problems are reported
// together. unknown lists REVIEW_ variables that mean nothing to us: most
// often misspelt ones.
func ParseSettings(variables map[string]string) (s Settings, unknown []string, err error) {
	s = Settings{HealthPath: "/", Context: ".", Env: map[string]string{}, BuildArgs: map[string]string{}}
	var problems []error
	for _, key := range sortedKeys(variables) {
		name, ours := strings.CutPrefix(key, settingPrefix)
		value := variables[key]
		if !ours || (value == "" && !strings.HasPrefix(name, "ENV_") && !strings.HasPrefix(name, "BUILD_ARG_")) {
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
	problems = append(problems, s.contradictions()...)
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
	case name == "IMAGE":
		s.Image, err = checkText(value, imageName, "must be the name of an image")
	case name == "STATIC":
		s.Static, err = checkRelative(value)
	case name == "COMMAND":
		s.Command, err = parseCommand(value)
	case name == "RELEASE_COMMAND":
		s.ReleaseCommand, err = parseCommand(value)
	case name == "VOLUMES":
		s.Volumes, err = parseVolumes(value)
	case name == "PUBLIC_PATHS":
		s.PublicPaths, err = parsePublicPaths(value)
	case name == "MEMORY":
		s.Memory, err = parseMemory(value)
	case name == "SLEEP_AFTER":
		err = s.SleepAfter.UnmarshalText([]byte(value))
	case name == "CPUS":
		s.CPUs, err = parseCPUs(value)
	case strings.HasPrefix(name, "ENV_"):
		err = s.setEnv(strings.TrimPrefix(name, "ENV_"), value)
	case strings.HasPrefix(name, "BUILD_ARG_"):
		err = s.setBuildArg(strings.TrimPrefix(name, "BUILD_ARG_"), value)
	case slices.Contains(reserved, settingPrefix+name): // of an earlier job, through a dotenv report
	default:
		return false, nil
	}
	return true, err
}

// contradictions are settings that cannot be meant together.
func (s *Settings) contradictions() []error {
	var problems []error
	sources := map[string]bool{"REVIEW_IMAGE": s.Image != "", "REVIEW_STATIC": s.Static != "", "REVIEW_CONTAINERFILE": s.Containerfile != ""}
	var set []string
	for _, name := range sortedKeys(sources) {
		if sources[name] {
			set = append(set, name)
		}
	}
	if len(set) > 1 {
		problems = append(problems, fmt.Errorf("%s cannot be set together: an app has one source", strings.Join(set, " and ")))
	}
	if s.Static != "" && (s.Command != nil || s.ReleaseCommand != nil || s.Volumes != nil) {
		problems = append(problems, errors.New("REVIEW_STATIC has no container, so REVIEW_COMMAND, REVIEW_RELEASE_COMMAND and REVIEW_VOLUMES cannot be set with it"))
	}
	return problems
}

func (s *Settings) setEnv(name, value string) error {
	if err := CheckVariable(name, value); err != nil {
		return err
	}
	s.Env[name] = value
	return nil
}

func (s *Settings) setBuildArg(name, value string) error {
	if err := checkVariable(name, value); err != nil {
		return err
	}
	s.BuildArgs[name] = value
	return nil
}

// CheckVariable tells whether an app's environment can have the variable. The
// error does not tell the value.
func CheckVariable(name, value string) error {
	if slices.Contains(reserved, name) {
		return fmt.Errorf("cannot set %s: the app gets it from the host", name)
	}
	return checkVariable(name, value)
}

func checkVariable(name, value string) error {
	switch {
	case !envName.MatchString(name):
		return errors.New("does not name an environment variable")
	case strings.ContainsRune(value, 0):
		return errors.New("holds a NUL byte")
	}
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

// parseCommand reads a command as CMD in a Containerfile does.
func parseCommand(value string) ([]string, error) {
	if strings.ContainsRune(value, 0) || len(value) > 16<<10 {
		return nil, errors.New("must be a command of at most 16 KiB without NUL bytes")
	}
	if !strings.HasPrefix(strings.TrimSpace(value), "[") {
		return []string{"/bin/sh", "-c", value}, nil
	}
	var list []string
	err := json.Unmarshal([]byte(value), &list)
	if err != nil || len(list) == 0 || list[0] == "" || slices.ContainsFunc(list, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
		return nil, fmt.Errorf(`must be a line for the shell, or a list such as ["gunicorn", "shop.wsgi"], not %s`, Printable(value, 80))
	}
	return list, nil
}

// maxVolumes is more than any app needs.
const maxVolumes = 16

func parseVolumes(value string) ([]string, error) {
	volumes := splitList(value)
	for _, dir := range volumes {
		first, _, _ := strings.Cut(strings.TrimPrefix(dir, "/"), "/")
		if !volumePath.MatchString(dir) || path.Clean(dir) != dir || len(dir) > 255 || slices.Contains([]string{"proc", "sys", "dev"}, first) {
			return nil, fmt.Errorf("must list absolute paths such as /data, outside of /proc, /sys and /dev, not %s", Printable(dir, 80))
		}
	}
	if len(volumes) == 0 || len(volumes) > maxVolumes {
		return nil, fmt.Errorf("must list 1 to %d paths, not %d", maxVolumes, len(volumes))
	}
	return volumes, nil
}

// MaxPublicPaths is more than any app has webhooks.
const MaxPublicPaths = 32

// publicPath is written the same raw, decoded and normalised: no escape, no empty
// segment and none of dots alone.
var publicPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+(/|/\*)?$`)

// CheckPublicPath tells what is wrong with a path that shall need no password.
func CheckPublicPath(value string) error {
	if value != "/" && (!publicPath.MatchString(value) || len(value) > 200) {
		return fmt.Errorf("must list paths such as /payments/webhook or /hooks/*, of letters, digits and . _ ~ -, not %s", Printable(value, 80))
	}
	return nil
}

func parsePublicPaths(value string) ([]string, error) {
	paths := splitList(value)
	for _, one := range paths {
		if one == "/*" {
			return nil, errors.New("cannot open the whole app with /*; whether a project needs no password at all is the host's administrator's to say")
		}
		if err := CheckPublicPath(one); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 || len(paths) > MaxPublicPaths {
		return nil, fmt.Errorf("must list 1 to %d paths, not %d", MaxPublicPaths, len(paths))
	}
	return paths, nil
}

// splitList splits on commas and spaces, and sorts.
func splitList(value string) []string {
	list := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	slices.Sort(list)
	return slices.Compact(list)
}

func parseMemory(value string) (Bytes, error) {
	var memory Bytes
	if err := memory.UnmarshalText([]byte(value)); err != nil || memory < minMemory {
		return 0, fmt.Errorf("must be an amount such as 512MiB, of at least %s, not %s", Bytes(minMemory), Printable(value, 80))
	}
	return memory, nil
}

func parseCPUs(value string) (float64, error) {
	cpus, err := strconv.ParseFloat(value, 64)
	if err != nil || !(cpus >= 0.01 && cpus <= 4096) {
		return 0, fmt.Errorf("must be a number of processors such as 0.5, not %s", Printable(value, 80))
	}
	return cpus, nil
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
