package review

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// maxLabel is the longest DNS label, in bytes (RFC 1035).
const maxLabel = 63

// hashLength is how many hex digits keep a shortened or lossy label unique.
const hashLength = 8

var (
	// environmentName is what GitLab accepts as an environment's name
	// (Gitlab::Regex.environment_name_regex in GitLab's source).
	environmentName = regexp.MustCompile(`^[a-zA-Z0-9_$\{\}. /-]+$`)

	labelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	notInLabel   = regexp.MustCompile(`[^a-z0-9]+`)
	placeholder  = regexp.MustCompile(`\{[^}]*\}`)
)

// CheckEnvironment tells whether name can be a GitLab environment's name. What
// GitLab itself would never send is refused: it is somebody's attempt.
func CheckEnvironment(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("environment name is empty")
	case len(name) > 255:
		return fmt.Errorf("environment name has %d characters, more than GitLab's 255", len(name))
	case !environmentName.MatchString(name):
		return fmt.Errorf("environment name %s has characters that GitLab does not allow (letters, digits, spaces and - _ / $ { } . are)", Printable(name, 80))
	}
	for _, part := range strings.Split(name, "/") {
		if part == "." || part == ".." {
			return fmt.Errorf("environment name %s has a %q between slashes", Printable(name, 80), part)
		}
	}
	return nil
}

// CheckLabel tells whether label can be one part of a host name, and so the
// name of an app. It refuses xn-- names: they would show as other letters.
func CheckLabel(label string) error {
	if len(label) > maxLabel || !labelPattern.MatchString(label) || strings.HasPrefix(label, "xn--") {
		return fmt.Errorf("%s is no host label (a-z, 0-9 and inner hyphens, at most %d characters)", Printable(label, 80), maxLabel)
	}
	return nil
}

// CheckDomain tells whether domain can carry the apps' host names.
func CheckDomain(domain string) error {
	const longest = 253 - maxLabel - 1 // a host name has at most 253 characters
	if len(domain) > longest {
		return fmt.Errorf("domain has %d characters, more than %d", len(domain), longest)
	}
	for _, label := range strings.Split(domain, ".") {
		if len(label) > maxLabel || !labelPattern.MatchString(label) {
			return fmt.Errorf("domain %s is no host name in lower case", Printable(domain, 80))
		}
	}
	return nil
}

// Hostname is a pattern for an app's host name such as
// "{environment}.{domain}" or "{environment}-{project}.{domain}".
type Hostname string

// Check tells whether the pattern makes one label under the domain, which is
// what a wildcard certificate and a wildcard DNS record cover.
func (h Hostname) Check() error {
	label, found := strings.CutSuffix(string(h), ".{domain}")
	if !found {
		return fmt.Errorf("%q does not end in \".{domain}\"", string(h))
	}
	if !strings.Contains(label, "{environment}") {
		return fmt.Errorf("%q lacks {environment}", string(h))
	}
	for _, p := range placeholder.FindAllString(label, -1) {
		if p != "{environment}" && p != "{project}" {
			return fmt.Errorf("%q has the unknown placeholder %s; {environment} and {project} are known", string(h), p)
		}
	}
	literal := placeholder.ReplaceAllString(label, "x")
	if !labelPattern.MatchString(literal) || len(literal) > maxLabel/2 || strings.HasPrefix(literal, "xn--") {
		return fmt.Errorf("%q must make one host label before .{domain}: a-z, 0-9 and inner hyphens, short", string(h))
	}
	return nil
}

// Label names an app of the project for the environment. It is readable, a valid host
// label, and the same for the app's whole life: review/login-form is
// login-form. When a character is lost or the name is cut, it ends in a hash of
// the project and the environment, so that two apps do not meet by accident.
func (h Hostname) Label(projectID int64, project, environment string) (string, error) {
	if err := CheckEnvironment(environment); err != nil {
		return "", err
	}
	text := strings.TrimPrefix(environment, "review/")
	slug := slugify(text)
	hash := ""
	if slug != text || slug == "" || strings.HasPrefix(slug, "xn") {
		hash = identityHash(projectID, environment)
	}
	pattern := strings.TrimSuffix(string(h), ".{domain}")
	label := fill(pattern, slug, project, hash)
	if over := len(label) - maxLabel; over > 0 {
		hash = identityHash(projectID, environment)
		label = fill(pattern, slug, project, hash)
		over = len(label) - maxLabel
		if keep := len(slug) - over; keep > 0 {
			label = fill(pattern, strings.TrimRight(slug[:keep], "-"), project, hash)
		} else {
			label = "app-" + hash // the project's part alone is too long
		}
	}
	return label, CheckLabel(label)
}

func fill(pattern, slug, project, hash string) string {
	if slug == "" {
		slug = "app"
	}
	label := strings.NewReplacer("{environment}", slug, "{project}", slugify(path.Base(project))).Replace(pattern)
	label = strings.Trim(label, "-")
	if hash != "" {
		label += "-" + hash
	}
	return label
}

// slugify keeps a-z and 0-9; every run of anything else becomes one hyphen.
func slugify(text string) string {
	return strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(text), "-"), "-")
}

func identityHash(projectID int64, environment string) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(projectID, 10) + "\x00" + environment))
	return hex.EncodeToString(sum[:])[:hashLength]
}

// releasePattern is what a release's ID is made of.
var releasePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,98}[A-Za-z0-9])?$`)

// CheckRelease tells whether id can be a release's: part of names of containers, files
// and units.
func CheckRelease(id string) error {
	if !releasePattern.MatchString(id) {
		return fmt.Errorf("%s is no release (letters, digits and inner hyphens)", Printable(id, 80))
	}
	return nil
}
