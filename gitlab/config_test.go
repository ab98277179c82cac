package gitlab_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/review"
)

func TestConfig_ProblemsNameTheirKey(t *testing.T) {
	good := gitlab.Config{URL: "https://gitlab.example.org/sub/path", TokenFile: "/etc/review-executor/token", Timeout: time.Second}
	for _, test := range []struct {
		name   string
		change func(*gitlab.Config)
		says   string
	}{
		{"good", func(*gitlab.Config) {}, ""},
		{"none", func(c *gitlab.Config) { *c = gitlab.Defaults() }, ""},
		{"loopback", func(c *gitlab.Config) { c.URL = "http://127.0.0.1:8080" }, ""},
		{"loopback, IPv6", func(c *gitlab.Config) { c.URL = "http://[::1]:8080" }, ""},
		{"loopback by name", func(c *gitlab.Config) { c.URL = "http://localhost" }, ""},
		{"plain http", func(c *gitlab.Config) { c.URL = "http://gitlab.example.org" }, "gitlab.url: must begin with https"},
		{"no scheme", func(c *gitlab.Config) { c.URL = "gitlab.example.org" }, "gitlab.url: must be an address such as"},
		{"no host", func(c *gitlab.Config) { c.URL = "https:///api" }, "gitlab.url: must be an address such as"},
		{"another scheme", func(c *gitlab.Config) { c.URL = "ssh://gitlab.example.org" }, "gitlab.url: must be an address such as"},
		{"a password", func(c *gitlab.Config) { c.URL = "https://me:s3cret@gitlab.example.org" }, "gitlab.url: must not hold a name or a password"},
		{"not even a URL, with a password", func(c *gitlab.Config) { c.URL = "https://me:s3cret@gitlab.example.org:port" }, "gitlab.url: must be an address"},
		{"a query", func(c *gitlab.Config) { c.URL = "https://gitlab.example.org/?x" }, "gitlab.url: must not have ? or #"},
		{"no token", func(c *gitlab.Config) { c.TokenFile = "" }, "gitlab.token_file: is missing"},
		{"relative token", func(c *gitlab.Config) { c.TokenFile = "token" }, `gitlab.token_file: "token" is not an absolute path`},
		{"token without URL", func(c *gitlab.Config) { c.URL = "" }, "gitlab.url: is missing"},
		{"no time", func(c *gitlab.Config) { c.Timeout = 0 }, "gitlab.timeout: 0s is not between"},
		{"all time", func(c *gitlab.Config) { c.Timeout = time.Hour }, "gitlab.timeout: 1h0m0s is not between"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			err := errors.Join(c.Problems()...)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("says %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("tells the password: %v", err)
			}
		})
	}
}

func TestNew_RefusesTheToken(t *testing.T) {
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		says          string
	}{
		{"of others", "glpat-secret", 0o640, "may be read by others (mode 0640); chmod 600 it"},
		{"empty", " \n", 0o600, "is empty"},
		{"two", "glpat-secret\nglpat-secret2\n", 0o600, "must hold a token alone, in one line"},
		{"a novel", strings.Repeat("glpat-secret", 1000), 0o600, "has more than 4096 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := gitlab.Config{URL: "https://gitlab.example.org", TokenFile: filepath.Join(t.TempDir(), "token"), Timeout: time.Second}
			if err := os.WriteFile(c.TokenFile, []byte(test.content), test.mode); err != nil {
				t.Fatal(err)
			}
			_, err := gitlab.New(c, "")
			if err == nil {
				t.Fatal("no error")
			}
			text := review.AsFailure(err).Text()
			if !strings.Contains(text, test.says) || !strings.Contains(text, "docs/gitlab.md") || strings.Contains(text, "secret") {
				t.Error(text)
			}
		})
	}
	c := gitlab.Config{URL: "https://gitlab.example.org", TokenFile: filepath.Join(t.TempDir(), "none"), Timeout: time.Second}
	if _, err := gitlab.New(c, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := gitlab.New(gitlab.Defaults(), ""); err == nil {
		t.Error("a GitLab without a URL")
	}
}
