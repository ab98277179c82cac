package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestGrantWish(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		wish wish
		want string
	}{
		"empty":                  {"", wish{"", "domain", "a.example"}, "domain = \"a.example\"\n"},
		"has it":                 {"# why\ndomain = \"a.example\"\n", wish{"", "domain", "a.example"}, "# why\ndomain = \"a.example\"\n"},
		"other value":            {"domain = \"b.example\" # old\nx = 1\n", wish{"", "domain", "a.example"}, "domain = \"a.example\"\nx = 1\n"},
		"before the tables":      {"[apache]\ndomain = \"not this\"\n", wish{"", "domain", "a.example"}, "domain = \"a.example\"\n[apache]\ndomain = \"not this\"\n"},
		"commented out":          {"[apache]\n#listen = \"*:443\"\n", wish{"apache", "listen", "*:80"}, "[apache]\nlisten = \"*:80\"\n"},
		"set after a comment":    {"[apache]\n# listen = \"*:443\"\nlisten = \"*:81\"\n", wish{"apache", "listen", "*:80"}, "[apache]\n# listen = \"*:443\"\nlisten = \"*:80\"\n"},
		"in its table only":      {"[a]\nurl = \"1\"\n[gitlab]\n[b]\nurl = \"2\"\n", wish{"gitlab", "url", "x"}, "[a]\nurl = \"1\"\n[gitlab]\nurl = \"x\"\n[b]\nurl = \"2\"\n"},
		"table commented out":    {"x = 1\n#[gitlab]\n#url = \"https://gitlab.example.org\"\n", wish{"gitlab", "url", "x"}, "x = 1\n[gitlab]\nurl = \"x\"\n"},
		"no table":               {"x = 1\n", wish{"gitlab", "url", "x"}, "x = 1\n\n[gitlab]\nurl = \"x\"\n"},
		"several of a table":     {"[[gitlab]]\nurl = \"1\"\n", wish{"gitlab", "urls", "x"}, "[[gitlab]]\nurl = \"1\"\n\n[gitlab]\nurls = \"x\"\n"},
		"a key that begins so":   {"domain_name = \"z\"\n", wish{"", "domain", "a"}, "domain = \"a\"\ndomain_name = \"z\"\n"},
		"value that needs quote": {"", wish{"", "domain", "a\"\nb = 1"}, "domain = \"a\\\"\\nb = 1\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, grantWish(c.text, c.wish)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPlanConfig_OfThePackagesFile: what the command line can ask for is then in it, its
// comments stay, and asking again changes nothing.
func TestPlanConfig_OfThePackagesFile(t *testing.T) {
	text, err := os.ReadFile("../../packaging/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := setupOptions{
		domain: "review.example.com", certificate: "/etc/ssl/review.pem", key: "/etc/ssl/private/review.key",
		gitlab: "https://gitlab.example.com", tokenFile: "/etc/review-executor/token",
	}
	change, err := planConfig(file, o.wishes())
	if err != nil {
		t.Fatal(err)
	}
	if err := change.write(); err != nil {
		t.Fatal(err)
	}
	s, err := loadSettings(file)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{s.Domain, s.Apache.TLSCertificate, s.Apache.TLSKey, s.Apache.Listen, s.Apache.RedirectListen, s.GitLab.URL, s.GitLab.TokenFile}
	want := []string{o.domain, o.certificate, o.key, "*:443", "*:80", o.gitlab, o.tokenFile}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Apache.FrontUnit == "" || s.StateDir != "/var/lib/review-executor" {
		t.Errorf("what was there is gone: %+v", s.Apache)
	}
	if before, after := strings.Count(string(text), "\n# "), strings.Count(change.after, "\n# "); before != after {
		t.Errorf("it had %d lines of comment and has %d", before, after)
	}
	again, err := planConfig(file, o.wishes())
	if err != nil || again.after != again.before || len(again.wishes) > 0 {
		t.Errorf("asking again changes %v, %v", again.wishes, err)
	}
}

// TestPlanConfig_UnusableIsRefused before anything is written.
func TestPlanConfig_UnusableIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("domain = \"a.example\"\nlisten = \"a key that is not there\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, wishes := range map[string][]wish{
		"no domain":       {{"", "domain", "no domain at all"}},
		"the file before": {{"", "domain", "b.example"}},
	} {
		if _, err := planConfig(file, wishes); err == nil || !strings.Contains(err.Error(), "could not be used") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzGranted: whatever the file was, either nothing comes of it, or the same with the
// wish in it.
func FuzzGranted(f *testing.F) {
	f.Add("domain = \"b\"\n[gitlab]\nurl = 1\n", "gitlab", "https://x")
	f.Add("#[gitlab]\n#url = \"\"\n\n[a.b]\nc = 1\n", "gitlab", "\"'\\\n\x00")
	f.Add("[[gitlab]]\nurl = 2\n", "gitlab", "")
	f.Add("a = \"\"\"\n[gitlab]\nurl = 3\n\"\"\"\n", "gitlab", "y")
	f.Add("gitlab.url = 1\n", "gitlab", "y")
	f.Add("gitlab = {url = 1}\n", "", "y")
	f.Fuzz(func(t *testing.T, text, table, value string) {
		if table != "" {
			table = "gitlab"
		}
		got, err := granted(text, wish{table, "url", value})
		if err != nil {
			return
		}
		var before, after map[string]any
		if err := toml.Unmarshal([]byte(text), &before); err != nil {
			t.Fatalf("%q was no TOML: %v", text, err)
		}
		if err := toml.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("%q became %q: %v", text, got, err)
		}
		in := after
		if table != "" {
			in, _ = after[table].(map[string]any)
		}
		if in["url"] != value {
			t.Errorf("%q became %q", text, got)
		}
		delete(in, "url")
		for key := range before {
			if _, there := after[key]; !there && key != "url" {
				t.Errorf("%q lost %s: %q", text, key, got)
			}
		}
	})
}
