// Package webhook takes the events of GitLab, and of GitHub for mirrors, and has
// each done once for every app that it may end.
//
// An event is a file in a queue before it is answered, so that a kill loses none.
// One lane per app then follows its events in the order in which they came. The
// process leaves when there is nothing to do, if systemd keeps its socket.
//
// Start reading at Serve.
package webhook

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// Config is the section [webhook].
type Config struct {
	// Address that "serve" listens on, where systemd has no socket for it. A proxy with TLS belongs before it.
	Listen string `toml:"listen"`
	// How long "serve" stays without work. It leaves only if systemd has its socket, and so starts it again.
	Idle time.Duration `toml:"idle"`
	// File of the secret token of GitLab's webhooks, or of their signing token ("whsec_…"). Only this program's user may be able to read it. Without it nothing is taken from GitLab.
	SecretFile string `toml:"secret_file"`
	// File of the secret of GitHub's webhooks, likewise. Without it nothing is taken from GitHub.
	GitHubSecretFile string `toml:"github_secret_file"`
}

// Defaults are the settings of a host that sets none.
func Defaults() Config {
	return Config{Listen: "127.0.0.1:8787", Idle: time.Minute}
}

// Problems are all that is wrong, each with its key.
func (c Config) Problems() []error {
	var problems []error
	if !isAddress(c.Listen) {
		problems = append(problems, fmt.Errorf("webhook.listen: %q must be an address and a port such as 127.0.0.1:8787", c.Listen))
	}
	if c.Idle < time.Second || c.Idle > 24*time.Hour {
		problems = append(problems, fmt.Errorf("webhook.idle: must be between 1s and 24h, not %s", c.Idle))
	}
	for _, file := range []struct{ key, name string }{{"secret_file", c.SecretFile}, {"github_secret_file", c.GitHubSecretFile}} {
		if file.name != "" && !filepath.IsAbs(file.name) {
			problems = append(problems, fmt.Errorf("webhook.%s: %q is not an absolute path", file.key, file.name))
		}
	}
	return problems
}

// isAddress tells whether there is a host and a port. ":8787" is all addresses, and
// that is to be written as "0.0.0.0:8787" by who means it.
func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
