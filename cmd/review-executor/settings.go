package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/pelletier/go-toml/v2"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/webhook"
)

const defaultConfigFile = "/etc/review-executor/config.toml"

// Settings is the configuration file.
type Settings struct {
	// Domain of the apps. Its wildcard DNS record (*.review.example.org) points to this host.
	Domain string `toml:"domain"`
	// Directory of the records: what should exist on this host.
	StateDir string `toml:"state_dir"`
	// Pattern of the apps' host names. It knows {environment}, {project} (the last part of the project's path) and {domain}.
	Hostname review.Hostname `toml:"hostname"`
	// File for Prometheus's node exporter (textfile collector), ending in .prom. "" is none.
	MetricsFile string `toml:"metrics_file"`
	// What wakes apps for their requests and lets them sleep when nobody asks: "none" (they always run) or "systemd" (that of the user who runs this program, who must have linger; of version 255 at least, as in Debian 13).
	Supervisor string `toml:"supervisor"`
	// The Podman service.
	Podman Podman `toml:"podman"`
	// The web server.
	Apache apache.Config `toml:"apache"`
	// The GitLab whose word decides which apps there are.
	GitLab gitlab.Config `toml:"gitlab"`
	// What jobs run in.
	Jobs executor.Jobs `toml:"jobs"`
	// Who may do what.
	Policy executor.Policy `toml:"policy"`
	// What stands between a container, the host and the other containers: of jobs, services and apps.
	Isolation review.Isolation `toml:"isolation"`
	// What an app may take of the host.
	Limits review.Limits `toml:"limits"`
	// When apps end by themselves.
	Lifetime review.Lifetime `toml:"lifetime"`
	// What GitLab tells at once, to "serve". Without it, sync finds out.
	Webhook webhook.Config `toml:"webhook"`
	// Settings of single projects, over those above.
	Projects []Project `toml:"projects"`

	file string // that it was read from
}

// Podman is where the Podman service listens.
type Podman struct {
	// Address of the API socket. The default is the socket of the user who runs this program.
	Socket string `toml:"socket"`
}

// Project overrides settings for one project.
type Project struct {
	// Full path of the project.
	Path string `toml:"path"`
	// Pattern of the project's host names.
	Hostname review.Hostname `toml:"hostname"`
	// File of variables for the project's apps, NAME=VALUE by line, over what the project sets. Only this program's user may be able to read it. Code on any branch of the project sees them.
	EnvFile string `toml:"env_file"`
	// File of users who may see the project's apps, beside those of apache.htpasswd.
	Htpasswd string `toml:"htpasswd"`
	// Repository on GitHub that the project mirrors: "owner/name". Its webhooks count for the project's apps.
	GitHub string `toml:"github"`
}

func defaultSettings() Settings {
	return Settings{
		StateDir:   "/var/lib/review-executor",
		Hostname:   "{environment}.{domain}",
		Supervisor: "none",
		Podman:     Podman{Socket: defaultSocket()},
		Apache:     apache.Defaults(),
		GitLab:     gitlab.Defaults(),
		Jobs:       executor.JobDefaults(),
		Policy:     executor.PolicyDefaults(),
		Isolation:  review.IsolationDefaults(),
		Limits:     review.LimitDefaults(),
		Lifetime:   review.LifetimeDefaults(),
		Webhook:    webhook.Defaults(),
	}
}

// defaultSocket is where systemd has Podman's socket for this user.
func defaultSocket() string {
	if os.Getuid() == 0 {
		return "unix:///run/podman/podman.sock"
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = "/run/user/" + strconv.Itoa(os.Getuid())
	}
	return "unix://" + dir + "/podman/podman.sock"
}

// configFile is where the configuration is: in file, or where it is by default.
func configFile(file string) string {
	return cmp.Or(file, os.Getenv("REVIEW_EXECUTOR_CONFIG"), defaultConfigFile)
}

// loadSettings reads the configuration from file, or from where it is by
// default. All problems are reported at once.
func loadSettings(file string) (Settings, error) {
	file = configFile(file)
	settings := defaultSettings()
	settings.file = file
	data, err := os.ReadFile(file)
	if err == nil {
		err = decodeSettings(data, &settings)
	}
	if err != nil {
		return settings, &review.Failure{
			What:  "the configuration in " + file + " cannot be used",
			Cause: err,
			State: "nothing was changed; what is serving goes on serving",
			Hint:  "docs/configuration.md describes every key",
		}
	}
	return settings, nil
}

func decodeSettings(data []byte, settings *Settings) error {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		return tomlError(err)
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:      settings,
		TagName:     "toml",
		ErrorUnused: true,
		ZeroFields:  true,
		DecodeHook:  mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.TextUnmarshallerHookFunc()),
		MatchName:   func(key, field string) bool { return key == field },
	})
	if err != nil {
		return err
	}
	problems := mapstructureProblems(decoder.Decode(tree))
	return errors.Join(append(problems, settings.problems()...)...)
}

// tomlError says where the file stops being TOML.
func tomlError(err error) error {
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}

// mapstructureProblems are the single errors of a joined one, by key.
func mapstructureProblems(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{byKey(err)}
	}
	var problems []error
	for _, one := range joined.Unwrap() {
		problems = append(problems, mapstructureProblems(one)...)
	}
	return problems
}

// byKey says a decoder's error as our own checks do.
func byKey(err error) error {
	var decode *mapstructure.DecodeError
	if !errors.As(err, &decode) {
		return err
	}
	if key := decode.Name(); key != "main.Settings" { // the file itself
		return fmt.Errorf("%s: %w", key, decode.Unwrap())
	}
	return decode.Unwrap()
}

func (s Settings) problems() []error {
	var problems []error
	check := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
	}
	if s.Domain == "" {
		check("domain", errors.New("is missing"))
	} else {
		check("domain", review.CheckDomain(s.Domain))
	}
	if !filepath.IsAbs(s.StateDir) {
		check("state_dir", fmt.Errorf("%q is not an absolute path", s.StateDir))
	}
	check("hostname", s.Hostname.Check())
	if s.Supervisor != "none" && s.Supervisor != "systemd" {
		check("supervisor", fmt.Errorf(`%q is neither "none" nor "systemd"`, s.Supervisor))
	}
	if s.MetricsFile != "" && (!filepath.IsAbs(s.MetricsFile) || filepath.Ext(s.MetricsFile) != ".prom") {
		check("metrics_file", fmt.Errorf("%q is not an absolute path that ends in .prom", s.MetricsFile))
	}
	if !strings.HasPrefix(s.Podman.Socket, "unix:///") && !strings.HasPrefix(s.Podman.Socket, "ssh://") && !strings.HasPrefix(s.Podman.Socket, "tcp://") {
		check("podman.socket", fmt.Errorf("%q is not an address such as unix:///run/user/999/podman/podman.sock", s.Podman.Socket))
	}
	problems = append(problems, s.Apache.Problems()...)
	if s.Apache.FrontUnit != "" {
		check("apache.vhost_dir", apartFrom(s.StateDir, s.Apache.VhostDir))
	}
	problems = append(problems, s.GitLab.Problems()...)
	if s.Policy.MinAccessLevel != "" && !s.GitLab.Configured() {
		check("policy.min_access_level", errors.New("it is asked from GitLab, and gitlab.url is missing"))
	}
	problems = append(problems, s.Jobs.Problems()...)
	problems = append(problems, s.Policy.Problems()...)
	problems = append(problems, s.Isolation.Problems()...)
	problems = append(problems, s.Limits.Problems()...)
	problems = append(problems, s.Lifetime.Problems()...)
	problems = append(problems, s.Webhook.Problems()...)
	for i, project := range s.Projects {
		if project.Path == "" {
			check(fmt.Sprintf("projects[%d].path", i), errors.New("is missing"))
		}
		if project.Hostname != "" {
			check(fmt.Sprintf("projects[%d].hostname", i), project.Hostname.Check())
		}
		if project.EnvFile != "" && !filepath.IsAbs(project.EnvFile) {
			check(fmt.Sprintf("projects[%d].env_file", i), fmt.Errorf("%q is not an absolute path", project.EnvFile))
		}
		if project.Htpasswd != "" {
			check(fmt.Sprintf("projects[%d].htpasswd", i), apache.CheckPath(project.Htpasswd))
		}
		if project.GitHub != "" {
			check(fmt.Sprintf("projects[%d].github", i), s.checkGitHub(i))
		}
	}
	return problems
}

// apartFrom keeps what Apache reads as its configuration out of the state, whose owner
// shall not write there where a unit does.
func apartFrom(state, vhosts string) error {
	if below, err := filepath.Rel(state, vhosts); err == nil && filepath.IsLocal(below) {
		return fmt.Errorf("%s is in state_dir, %s; with apache.front_unit it must be elsewhere, in a directory of the unit's user", vhosts, state)
	}
	return nil
}

// githubName is how GitHub names a repository.
var githubName = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)

// checkGitHub tells what is wrong with the repository of a project.
func (s Settings) checkGitHub(project int) error {
	name := s.Projects[project].GitHub
	if !githubName.MatchString(name) {
		return fmt.Errorf("%q is no repository such as owner/name", name)
	}
	for _, before := range s.Projects[:project] {
		if strings.EqualFold(before.GitHub, name) {
			return fmt.Errorf("%s is that of %s already", name, before.Path)
		}
	}
	return nil
}

// mirrors are the projects that mirror a repository of GitHub.
func (s Settings) mirrors() webhook.Mirrors {
	mirrors := webhook.Mirrors{}
	for _, p := range s.Projects {
		if p.GitHub != "" {
			mirrors[p.GitHub] = p.Path
		}
	}
	return mirrors
}

// logins are the files of users that projects have of their own.
func (s Settings) logins() map[string]string {
	logins := map[string]string{}
	for _, p := range s.Projects {
		if p.Htpasswd != "" {
			logins[p.Path] = p.Htpasswd
		}
	}
	return logins
}

// hostname returns the pattern for the project's host names.
func (s Settings) hostname(project string) review.Hostname {
	for _, p := range s.Projects {
		if p.Path == project && p.Hostname != "" {
			return p.Hostname
		}
	}
	return s.Hostname
}
