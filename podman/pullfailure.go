package podman

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.podman.io/image/v5/docker/reference"

	"gitlab.com/review-executor/review-executor/review"
)

// refusal is what Podman says of a pull that failed, as opposed to what befell
// the call. It is Podman's text, on lines that a job log takes.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// refusal takes the job's password out, should a registry have sent it back.
func (s source) refusal(message string) error {
	if s.Password != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(s.Username + ":" + s.Password))
		message = strings.NewReplacer(basic, "[password]", s.Password, "[password]").Replace(message)
	}
	return &refusal{readable(message)}
}

// lineLimit is what a line of a job log can have before it is hard to read.
const lineLimit = 160

// readable breaks a chain of causes behind a colon wherever a line gets long.
func readable(message string) string {
	var lines []string
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		for len(line) > lineLimit {
			i := strings.LastIndex(line[:lineLimit], ": ")
			if i < 0 {
				break
			}
			lines = append(lines, line[:i+1])
			line = line[i+2:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// The words of c/image, of Go's net/http, and of registries. None of them fits
// into an image's name.
var (
	transientWords = regexp.MustCompile(`(?i)(status|status ?code|from registry):? (429|5\d\d)\b|toomanyrequests: |too many requests` +
		`|unexpected EOF|: EOF$|connection (refused|timed out|reset by peer)|i/o timeout|TLS handshake timeout|Client\.Timeout exceeded` +
		`|context deadline exceeded|network is unreachable|no route to host|server misbehaving|temporary failure in name resolution`)
	accessWords   = regexp.MustCompile(`(?im)(: |^)(unauthorized|denied|authentication required)(: |$)|(status|status ?code|from registry):? 40[13]\b|invalid username/password`)
	shortWords    = regexp.MustCompile(`(?m)(^|: )short-name `)
	platformWords = regexp.MustCompile(`no image found in (manifest list|image index)`)
	trustWords    = regexp.MustCompile(`x509: |tls: |server gave HTTP response to HTTPS client`)
)

// transient tells that the registry, or the way to it, does not work just now.
func transient(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !fullDisk(r.text) && transientWords.MatchString(r.text)
}

// pullFailed says whose turn it is.
func (p *Podman) pullFailed(s source, err error) error {
	var (
		r        *refusal
		registry = reference.Domain(s.ref)
		f        = review.Failure{Kind: review.Build, What: s.what("cannot be pulled"), Cause: err}
	)
	switch {
	case !errors.As(err, &r):
		return p.explain(err, "pull image %s", review.Printable(s.Image, 200))
	case fullDisk(r.text):
		f.Kind, f.What, f.Hint = review.System, "the host's disk is full", "not your branch: the host's administrator must make room"
	case transient(err):
		f.Kind, f.Hint = review.System, fmt.Sprintf("not your branch: registry %s, or the network to it, does not work now; run the job again later", registry)
	case shortWords.MatchString(r.text):
		f.Hint = s.writeWhole()
	case accessWords.MatchString(r.text):
		f.Hint = fmt.Sprintf("check the name, and that the CI variable DOCKER_AUTH_CONFIG has a user of %s who may read it", registry)
	case platformWords.MatchString(r.text):
		return s.noPlatform(err)
	case trustWords.MatchString(r.text):
		f.Hint = fmt.Sprintf("this host does not trust the certificate of %s: ask its administrator, or take another registry", registry)
	default:
		f.Hint = `check the name, its registry and its tag under "image:"`
	}
	return &f
}

func (s source) what(is string) string {
	what := "image " + review.Printable(s.Image, 200)
	if s.Platform != "" {
		what += " for " + review.Printable(s.Platform, 80)
	}
	return what + " " + is
}

// writeWhole is what to do about a short name.
func (s source) writeWhole() string { return "write it with its registry: " + s.ref.String() }

func (s source) noPlatform(cause error) error {
	return &review.Failure{
		Kind:  review.Build,
		What:  s.what("is not to be had"),
		Cause: cause,
		Hint:  "choose an image that is made for this platform, or another platform",
	}
}

// absent is the failure of an image that is only looked for on the host.
func (s source) absent() error {
	f := review.Failure{Kind: review.Build, What: s.what("is not on this host")}
	switch {
	case s.local():
		f.Hint = `no registry has images of localhost/: check its name, or ask the host's administrator to make it`
	case s.short:
		f.What += ", and its pull policy is never"
		f.Hint = s.writeWhole() + ", or choose another pull policy"
	default:
		f.What += ", and its pull policy is never"
		f.Hint = "choose another pull policy, or ask the host's administrator to pull it"
	}
	return &f
}

func badName(pull review.Pull, err error) error {
	return &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf("%q is not the name of an image", review.Printable(pull.Image, 200)),
		Cause: err,
		Hint:  "write it with its registry, as in docker.io/library/alpine:3",
	}
}
