package gitlab

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"
)

// Config is where GitLab is, and what it is asked.
type Config struct {
	// Address of GitLab, with its sub-path if it has one: "https://gitlab.example.com". Without it, GitLab is not asked, and apps end by their stop job, their time or by hand only.
	URL string `toml:"url"`
	// File of the access token, which no more than this program's user may be able to read. docs/gitlab.md says how to make the token.
	TokenFile string `toml:"token_file"`
	// How long one answer may take.
	Timeout time.Duration `toml:"timeout"`
	// Whether an app is told in a comment on its merge request, one that is kept up to date.
	Notes bool `toml:"notes"`
	// What the comment tells about the password: "user review, the password is in the wiki". Markdown.
	Login string `toml:"login"`
}

// Defaults ask no GitLab.
func Defaults() Config {
	return Config{Timeout: 10 * time.Second}
}

// Configured tells whether there is a GitLab to ask.
func (c Config) Configured() bool { return c.URL != "" }

// maxTimeout is more than GitLab takes for any answer: its own limit is a minute.
const maxTimeout = 5 * time.Minute

// Problems lists everything that is wrong with the configuration, by key. The
// token's file is looked at by New alone: not everybody who reads the
// configuration may read it.
func (c Config) Problems() []error {
	var problems []error
	check := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("gitlab.%s: %w", key, err))
		}
	}
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		check("timeout", fmt.Errorf("%s is not between nothing and %s", c.Timeout, maxTimeout))
	}
	if c.TokenFile != "" && !filepath.IsAbs(c.TokenFile) {
		check("token_file", fmt.Errorf("%q is not an absolute path", c.TokenFile))
	}
	if !c.Configured() {
		if c.TokenFile != "" || c.Notes {
			check("url", errors.New("is missing, though there are other settings"))
		}
		return problems
	}
	check("url", checkURL(c.URL))
	if c.TokenFile == "" {
		check("token_file", errors.New("is missing"))
	}
	return problems
}

// checkURL does not repeat what it refuses: it may hold a password.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be an address such as https://gitlab.example.com")
	case u.User != nil:
		return errors.New("must not hold a name or a password; token_file is for that")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must not have ? or #")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must begin with https: the token would cross the network for all to read; plain http is for loopback only")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
