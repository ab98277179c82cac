package main

import "testing"

func TestSetTOML(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		set  tomlKey
		want string
	}{
		"an empty file":              {"", tomlKey{"", "domain", "a.example"}, "domain = \"a.example\"\n"},
		"an empty file's table":      {"", tomlKey{"apache", "listen", "*:443"}, "\n[apache]\nlisten = \"*:443\"\n"},
		"a key that is there":        {"# ours\ndomain = \"a\" # old\n[apache]\n", tomlKey{"", "domain", "b"}, "# ours\ndomain = \"b\"\n[apache]\n"},
		"a new key above the tables": {"# ours\n[apache]\nlisten = \"x\"\n", tomlKey{"", "domain", "b"}, "# ours\ndomain = \"b\"\n[apache]\nlisten = \"x\"\n"},
		"a new key of a table":       {"domain = \"a\"\n\n[apache] # ours\n# a word\n[gitlab]\nlisten = \"no\"\n", tomlKey{"apache", "listen", "*:443"}, "domain = \"a\"\n\n[apache] # ours\nlisten = \"*:443\"\n# a word\n[gitlab]\nlisten = \"no\"\n"},
		"a key of another table":     {"[gitlab]\nurl = \"a\"\n", tomlKey{"webhook", "url", "b"}, "[gitlab]\nurl = \"a\"\n\n[webhook]\nurl = \"b\"\n"},
		"a comment is no key":        {"#domain = \"a\"\n", tomlKey{"", "domain", "b"}, "#domain = \"a\"\ndomain = \"b\"\n"},
		"quotes":                     {"", tomlKey{"", "domain", `a"b`}, "domain = \"a\\\"b\"\n"},
		"a list of tables":           {"[[projects]]\npath = \"a\"\n", tomlKey{"", "domain", "b"}, "domain = \"b\"\n[[projects]]\npath = \"a\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := setTOML(test.text, test.set)
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if again := setTOML(got, test.set); again != got {
				t.Errorf("again: %q", again)
			}
		})
	}
}
