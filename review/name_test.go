package review_test

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

const plain review.Hostname = "{environment}.{domain}"

// TestLabel is which name an environment gets, and with it which names meet.
// Environments with the same label exclude each other: see
// TestDeploy_SecondAppOnAHostIsRefusedAndToldWhoOwnsIt.
func TestLabel(t *testing.T) {
	for _, c := range []struct {
		pattern     review.Hostname
		project     string
		environment string
		want        string
	}{
		// What a slug names is readable, with or without review/ before it.
		{plain, "group/shop", "review/login-form", "login-form"},
		{plain, "group/shop", "login-form", "login-form"},
		{plain, "group/shop", "staging", "staging"},
		{plain, "group/other", "staging", "staging"}, // the first one has it
		{plain, "group/shop", "review/7", "7"},
		{plain, "group/shop", "review/app", "app"},

		// What loses a character ends in a hash.
		{plain, "group/shop", "review/Login-Form", "login-form-fe596681"},
		{plain, "group/shop", "review/LOGIN-FORM", "login-form-f02fe085"},
		{plain, "group/shop", "review/feature/login", "feature-login-35b3455f"},
		{plain, "group/shop", "review/feature-login", "feature-login"},
		{plain, "group/shop", "review/review/x", "review-x-bc9924fa"},
		{plain, "group/shop", "production/eu", "production-eu-33892550"},
		{plain, "group/shop", "review/v1.2", "v1-2-b73c2902"},
		{plain, "group/shop", "review/a--b", "a-b-3cd5d0ec"},
		{plain, "group/shop", "review/-a-", "a-9a2617e4"},

		// On purpose one can meet another's hash; the first one has it.
		{plain, "group/shop", "review/login-form-fe596681", "login-form-fe596681"},

		// What would show as other letters, too.
		{plain, "group/shop", "review/xn--80ak6aa92e", "xn-80ak6aa92e-c28ae626"},
		{plain, "group/shop", "review/xn", "xn-9313cbea"},

		// Nothing is left to read.
		{plain, "group/shop", "review/___", "app-"},
		{plain, "group/shop", "review/", "app-"},
		{plain, "group/shop", "{$}", "app-"},

		// What is too long is cut, and not at a hyphen.
		{plain, "group/shop", "review/" + strings.Repeat("a", 63), strings.Repeat("a", 63)},
		{plain, "group/shop", "review/" + strings.Repeat("a", 64), strings.Repeat("a", 54) + "-"},
		{plain, "group/shop", "review/" + strings.Repeat("a", 65), strings.Repeat("a", 54) + "-"},
		{plain, "group/shop", "review/" + strings.Repeat("ab-", 30), strings.Repeat("ab-", 18)},

		// The pattern has the project's last part.
		{"{environment}-{project}.{domain}", "group/sub/Shop_2", "review/login", "login-shop-2"},
		{"{project}-{environment}.{domain}", "group/shop", "review/Login", "shop-login-"},
		{"{environment}-{project}.{domain}", "group/" + strings.Repeat("p", 40), "review/" + strings.Repeat("e", 40), strings.Repeat("e", 13) + "-" + strings.Repeat("p", 40) + "-"},
		{"{environment}-{project}.{domain}", "group/" + strings.Repeat("p", 70), "review/login", "app-"},
		{"{environment}-{project}.{domain}", "group/shops", "review/" + strings.Repeat("ab-", 30), strings.Repeat("ab-", 15) + "ab-shops-"},
		{"{environment}-{project}.{domain}", "group/...", "review/login", "login"},
		{"r-{environment}.{domain}", "group/shop", "review/login", "r-login"},
	} {
		got, err := c.pattern.Label(42, c.project, c.environment)
		if err != nil {
			t.Errorf("%s of %s, %s: %v", c.environment, c.project, c.pattern, err)
			continue
		}
		want := c.want
		if strings.HasSuffix(want, "-") { // and then a hash
			want += got[max(0, len(got)-8):]
		}
		if got != want {
			t.Errorf("%s of %s, %s: %s, want %s", c.environment, c.project, c.pattern, got, want)
		}
	}
}

// TestLabel_HashIsOfProjectAndEnvironment: what was lost still tells two apart.
func TestLabel_HashIsOfProjectAndEnvironment(t *testing.T) {
	owners := map[string]string{}
	for _, environment := range []string{"review/a/b", "review/a.b", "review/A-b", "review/a_b", "review/a-b", "a/b", "review/review/a-b"} {
		for _, project := range []int64{1, 2} {
			if environment == "review/a-b" && project == 2 {
				continue // nothing is lost: the first one has the name
			}
			label, err := plain.Label(project, "group/shop", environment)
			if err != nil {
				t.Fatal(err)
			}
			if owner, taken := owners[label]; taken {
				t.Errorf("%s and %s are both %s", owner, environment, label)
			}
			owners[label] = environment
		}
	}
}

// TestLabel_NeverDecodesToOtherLetters: xn-- is refused wherever it comes from.
func TestLabel_NeverDecodesToOtherLetters(t *testing.T) {
	for pattern, environment := range map[review.Hostname]string{
		"xn--{environment}.{domain}":           "review/80ak6aa92e",
		"x{environment}.{domain}":              "review/n--80ak6aa92e",
		"{environment}--{project}.{domain}":    "review/xn",
		"{project}--{environment}.{domain}":    "review/80ak6aa92e",
		"{environment}{environment}.{domain}":  "xn--a",
		"{environment}-{environment}.{domain}": "xn--",
	} {
		label, err := pattern.Label(1, "group/xn", environment)
		if err == nil && strings.HasPrefix(label, "xn--") {
			t.Errorf("%s of %s is %s", environment, pattern, label)
		}
	}
}

func TestHostname_Check(t *testing.T) {
	for pattern, problem := range map[review.Hostname]string{
		"{environment}.{domain}":           "",
		"{environment}-{project}.{domain}": "",
		"{project}-{environment}.{domain}": "",
		"r-{environment}.{domain}":         "",
		"":                                 "does not end",
		"{environment}":                    "does not end",
		"{environment}.example.org":        "does not end",
		"{environment}.{domain}.org":       "does not end",
		"{environment}{domain}":            "does not end",
		"review.{domain}":                  "lacks {environment}",
		"{project}.{domain}":               "lacks {environment}",
		"{environment}-{branch}.{domain}":  "unknown placeholder {branch}",
		"{environment}-{}.{domain}":        "unknown placeholder {}",
		"{environment}.{domain}.{domain}":  "unknown placeholder {domain}",
		"{environment}.{project}.{domain}": "one host label",
		"a.{environment}.{domain}":         "one host label",
		"-{environment}.{domain}":          "one host label",
		"{environment}-.{domain}":          "one host label",
		"R-{environment}.{domain}":         "one host label",
		"r_{environment}.{domain}":         "one host label",
		"{{environment}.{domain}":          "unknown placeholder",
		"{environment}}.{domain}":          "one host label",
		"{environment}\n.{domain}":         "one host label",
		"{environment} .{domain}":          "one host label",
		review.Hostname(strings.Repeat("a", 40)) + "{environment}.{domain}": "one host label",
	} {
		isProblem(t, string(pattern), pattern.Check(), problem)
	}
}

func TestCheckDomain(t *testing.T) {
	for domain, problem := range map[string]string{
		"review.example.org":            "",
		"localhost":                     "",
		"xn--bcher-kva.example":         "",
		"1.2.3":                         "",
		"":                              "no host name",
		"Review.example.org":            "no host name",
		"review.example.org.":           "no host name",
		".example.org":                  "no host name",
		"a..b":                          "no host name",
		"-a.org":                        "no host name",
		"a-.org":                        "no host name",
		"a_b.org":                       "no host name",
		"*.example.org":                 "no host name",
		"a.org\nServerAlias *":          "no host name",
		"a.org\n":                       "no host name",
		"example.org:443":               "no host name",
		strings.Repeat("a", 64):         "no host name",
		strings.Repeat("a.", 94) + "b":  "",
		strings.Repeat("a.", 94) + "bc": "more than 189",
	} {
		isProblem(t, domain, review.CheckDomain(domain), problem)
	}
}

func TestCheckEnvironment(t *testing.T) {
	for environment, problem := range map[string]string{
		"review/login-form":          "",
		"a b.c_d/${e}-F":             "",
		strings.Repeat("a", 255):     "",
		"":                           "empty",
		strings.Repeat("a", 256):     "more than GitLab's 255",
		"review/ümlaut":              "characters that GitLab does not allow",
		"review/a\n":                 "characters that GitLab does not allow",
		"review/a\nServerAlias evil": "review/a?ServerAlias evil",
		"review/\x1b[31mred":         "review/?[31mred",
		"review/a;b":                 "characters that GitLab does not allow",
		"review/<b>":                 "characters that GitLab does not allow",
		"review/\x00":                "characters that GitLab does not allow",
		"review/\xff":                "characters that GitLab does not allow",
		"..":                         `a ".." between slashes`,
		"review/../admin":            `a ".." between slashes`,
		"./a":                        `a "." between slashes`,
		"review/...":                 "",
	} {
		isProblem(t, environment, review.CheckEnvironment(environment), problem)
		if problem != "" {
			if label, err := plain.Label(1, "group/shop", environment); err == nil {
				t.Errorf("%q has the label %s", environment, label)
			}
		}
	}
}

// isProblem asserts that err says problem, or is nil if problem is "".
func isProblem(t *testing.T, of string, err error, problem string) {
	t.Helper()
	switch {
	case problem == "" && err != nil:
		t.Errorf("%q: %v", of, err)
	case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
		t.Errorf("%q: %v, want that it says %q", of, err, problem)
	}
}
