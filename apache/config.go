package apache

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Config is where Apache is and how the apps appear in it.
type Config struct {
	// Directory of the virtual hosts that are written. Apache includes it: "IncludeOptional DIR/*.conf". Nothing else belongs there.
	VhostDir string `toml:"vhost_dir"`
	// Systemd's unit that writes the virtual hosts, as the package's review-executor-front.service does, in the place of the user who runs this program and has no right to. "" is none: they are written by this program itself.
	FrontUnit string `toml:"front_unit"`
	// Template of an app's virtual host, in place of the built-in one, which "review-executor apache-config --template" prints.
	VhostTemplate string `toml:"vhost_template"`
	// Address that the virtual hosts listen on, as in "<VirtualHost *:443>". Apache's own "Listen" for its port is yours to set.
	Listen string `toml:"listen"`
	// Address whose plain HTTP is sent on to HTTPS. It is used only with a certificate.
	RedirectListen string `toml:"redirect_listen"`
	// Scheme that browsers use, "http" or "https", if another web server in front of this one has the certificate.
	PublicScheme string `toml:"public_scheme"`
	// Port that browsers use, if it is not that of listen.
	PublicPort int `toml:"public_port"`
	// Addresses of web servers in front of this one, such as "10.0.0.5" or "10.0.0.0/24". What they say about the visitor (X-Forwarded-For, X-Forwarded-Proto) is believed; others' word is not.
	TrustedProxies []string `toml:"trusted_proxies"`
	// How visitors prove who they are: "password" (htpasswd), "custom" (login_config) or "none".
	Login string `toml:"login"`
	// File of the users who may see the apps, made by "review-executor password". Apache's user must be able to read it.
	Htpasswd string `toml:"htpasswd"`
	// File of Apache directives (AuthType, Require ...) that decide who may see the apps, for login = "custom".
	LoginConfig string `toml:"login_config"`
	// Addresses that need no login, such as "192.0.2.0/24".
	NoLoginFrom []string `toml:"no_login_from"`
	// Wildcard certificate of the domain, in PEM with its chain. Without it the apps are served over plain HTTP.
	TLSCertificate string `toml:"tls_certificate"`
	// Private key of the certificate, in PEM.
	TLSKey string `toml:"tls_key"`
	// How long an app may be silent within an answer, an event stream or a WebSocket.
	Timeout time.Duration `toml:"timeout"`
	// The largest body of a request, of those that tell their length. "0" is any.
	MaxUpload review.Bytes `toml:"max_upload"`
	// File of all apps' requests, which "review-executor logs APP --access" reads. "" is none.
	AccessLog string `toml:"access_log"`
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

// Kinds of login.
const (
	LoginPassword = "password"
	LoginCustom   = "custom"
	LoginNone     = "none"
)

// Defaults are Debian's.
func Defaults() Config {
	return Config{
		VhostDir:       "/var/lib/review-executor/vhosts",
		Listen:         "*:80",
		RedirectListen: "*:80",
		Login:          LoginPassword,
		Htpasswd:       "/etc/review-executor/htpasswd",
		Timeout:        10 * time.Minute,
		MaxUpload:      2 << 30,
		AccessLog:      "/var/log/apache2/review-apps.log",
		Configtest:     []string{"/usr/sbin/apache2ctl", "configtest"},
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
	checkUnlessEmpty := func(key, path string) {
		if path != "" {
			check(key, CheckPath(path))
		}
	}
	check("vhost_dir", CheckPath(c.VhostDir))
	check("front_unit", checkService(c.FrontUnit))
	checkUnlessEmpty("vhost_template", c.VhostTemplate)
	check("listen", checkListen(c.Listen))
	if c.RedirectListen != "" {
		check("redirect_listen", checkListen(c.RedirectListen))
	}
	if !slices.Contains([]string{"", "http", "https"}, c.PublicScheme) {
		check("public_scheme", fmt.Errorf("%q is neither http nor https", c.PublicScheme))
	}
	if c.PublicPort < 0 || c.PublicPort > 65535 {
		check("public_port", fmt.Errorf("%d is no port from 1 to 65535", c.PublicPort))
	}
	check("trusted_proxies", checkAddresses(c.TrustedProxies))
	check("login", c.checkLogin())
	check("htpasswd", CheckPath(c.Htpasswd))
	checkUnlessEmpty("login_config", c.LoginConfig)
	check("no_login_from", checkAddresses(c.NoLoginFrom))
	if c.TLSCertificate != "" || c.TLSKey != "" {
		check("tls_certificate", CheckPath(c.TLSCertificate))
		check("tls_key", CheckPath(c.TLSKey))
	}
	if c.Timeout < time.Second || c.Timeout > 24*time.Hour {
		check("timeout", fmt.Errorf("must be from 1s to 24h, not %s", c.Timeout))
	}
	if c.MaxUpload < 0 {
		check("max_upload", errors.New("must not be negative"))
	}
	checkUnlessEmpty("access_log", c.AccessLog)
	if len(c.Configtest) == 0 {
		check("configtest", errors.New("must be a command as a list of strings"))
	}
	return problems
}

func (c Config) checkLogin() error {
	switch c.Login {
	case LoginPassword, LoginNone:
		return nil
	case LoginCustom:
		if c.LoginConfig == "" {
			return errors.New("\"custom\" needs login_config")
		}
		return nil
	}
	return fmt.Errorf("%q is neither \"password\", \"custom\" nor \"none\"", c.Login)
}

// checkAddresses takes addresses and ranges as Apache does.
func checkAddresses(list []string) error {
	for _, one := range list {
		if prefix, err := netip.ParsePrefix(one); err == nil && prefix == prefix.Masked() && prefix.Bits() > 0 {
			continue
		}
		if address, err := netip.ParseAddr(one); err == nil && address.Zone() == "" {
			continue
		}
		return fmt.Errorf("%q is no address such as 192.0.2.7 or 192.0.2.0/24", one)
	}
	return nil
}

// plainPath is a path that means the same to Apache's parser as to us:
// without quotes, ${variables} and control characters.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9 ._/@+~:,-]+$`)

// CheckPath tells what is wrong with a path that Apache's parser is to read.
func CheckPath(path string) error {
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

func (c Config) listenPort() string {
	_, port, _ := net.SplitHostPort(c.Listen)
	return port
}
