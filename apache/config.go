package apache

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
)

// Config is where Apache is and how the apps appear in it.
type Config struct {
	// Directory of the virtual hosts that are written. Apache includes it: "IncludeOptional DIR/*.conf". Nothing else belongs there.
	VhostDir string `toml:"vhost_dir"`
	// Address that the virtual hosts listen on, as in "<VirtualHost *:443>". Apache's own "Listen" for its port is yours to set.
	Listen string `toml:"listen"`
	// File of the users who may see the apps, made by htpasswd. Apache's user must be able to read it.
	Htpasswd string `toml:"htpasswd"`
	// Wildcard certificate of the domain, in PEM with its chain. Without it the apps are served over plain HTTP.
	TLSCertificate string `toml:"tls_certificate"`
	// Private key of the certificate, in PEM.
	TLSKey string `toml:"tls_key"`
	// Command that checks Apache's whole configuration.
	Configtest []string `toml:"configtest"`
	// How Apache takes a new configuration without dropping a request: "systemd" (reloads apache2.service over D-Bus) or a command as a list.
	Reload Reload `toml:"reload"`
}

// Reload is "systemd" or a command.
type Reload struct {
	Command []string // nil: systemd
}

// UnmarshalMapstructure reads "systemd" or a list of strings.
func (r *Reload) UnmarshalMapstructure(value any) error {
	if value == "systemd" {
		r.Command = nil
		return nil
	}
	list, _ := value.([]any)
	command := make([]string, 0, len(list))
	for _, arg := range list {
		text, ok := arg.(string)
		if !ok {
			return errors.New(`must be "systemd" or a command as a list of strings`)
		}
		command = append(command, text)
	}
	if len(command) == 0 {
		return errors.New(`must be "systemd" or a command as a list of strings`)
	}
	r.Command = command
	return nil
}

// Defaults are Debian's.
func Defaults() Config {
	return Config{
		VhostDir:   "/var/lib/review-executor/vhosts",
		Listen:     "*:80",
		Htpasswd:   "/etc/review-executor/htpasswd",
		Configtest: []string{"/usr/sbin/apache2ctl", "configtest"},
	}
}

// Problems lists everything that is wrong with the configuration, by key.
func (c Config) Problems() []error {
	var problems []error
	check := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("apache.%s: %w", key, err))
		}
	}
	check("vhost_dir", checkPath(c.VhostDir))
	check("listen", checkListen(c.Listen))
	check("htpasswd", checkPath(c.Htpasswd))
	if c.TLSCertificate != "" || c.TLSKey != "" {
		check("tls_certificate", checkPath(c.TLSCertificate))
		check("tls_key", checkPath(c.TLSKey))
	}
	if len(c.Configtest) == 0 {
		check("configtest", errors.New("must be a command as a list of strings"))
	}
	return problems
}

// plainPath is a path that means the same to Apache's parser as to us:
// without quotes, ${variables} and control characters.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9 ._/@+~:,-]+$`)

func checkPath(path string) error {
	if !plainPath.MatchString(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%q must be an absolute path of letters, digits, spaces and . _ / @ + ~ : , -", path)
	}
	return nil
}

func checkListen(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || (host != "*" && net.ParseIP(host) == nil) {
		return fmt.Errorf("%q must be an address and a port such as *:443 or 127.0.0.1:8080", listen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q does not end in a port from 1 to 65535", listen)
	}
	return nil
}

// tls tells whether the apps are served over TLS.
func (c Config) tls() bool { return c.TLSCertificate != "" }

// port is the one that browsers use.
func (c Config) port() string {
	_, port, _ := net.SplitHostPort(c.Listen)
	return port
}
