package gitlab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// trouble is what is wrong with an answer: the request, what came and who can help.
type trouble struct {
	status int    // 0: no answer came
	says   string // GitLab's own message, if it is one
	text   string
	hint   string
	cause  error
}

func (t *trouble) Error() string { return t.text }

func (t *trouble) Unwrap() error { return t.cause }

// oddItem is of an item that cannot be, in an answer that was understood.
func oddItem(format string, args ...any) error {
	return &trouble{text: fmt.Sprintf(format, args...), hint: hintShape}
}

// failure is err as a person meets it.
func failure(what string, err error) error {
	f := &review.Failure{What: what, Cause: err}
	var t *trouble
	if errors.As(err, &t) {
		f.Hint = t.hint
	}
	return f
}

// answers404 tells whether GitLab itself says that there is no such thing: "404
// Branch Not Found". Another 404, of a proxy or of a wrong address, says nothing.
func answers404(err error, thing string) bool {
	var t *trouble
	return errors.As(err, &t) && t.status == http.StatusNotFound && strings.EqualFold(t.says, "404 "+thing+" Not Found")
}

const (
	hintToken   = "the token in gitlab.token_file is wrong, expired or revoked: docs/gitlab.md says how to make one"
	hintScope   = "the token needs the scope api, or read_api if nothing is to be stopped or commented: docs/gitlab.md"
	hintRole    = "the token's user needs a role in this project that may do so: docs/gitlab.md"
	hintMissing = "is there such a project, and is the token's user a member of it? gitlab.url must be GitLab's own address"
	hintLimit   = "GitLab limits how often it is asked: try again later"
	hintDown    = "GitLab is down or slow, or cannot be reached from this host: try again later"
	hintTLS     = "this host does not trust GitLab's certificate: install the certificate of its CA"
	hintOdd     = "something else than GitLab's API answers there: a login page or a proxy, or gitlab.url is not GitLab's own address with its sub-path"
	hintShape   = "this is not an answer of GitLab that this program knows; is GitLab much older or newer than the program?"
)

// because names what is wrong after an answer that has come, or none.
func (g *GitLab) because(got *answer, err error) *trouble {
	t := &trouble{status: got.status, cause: err}
	var odd *errOdd
	switch {
	case errors.As(err, &odd):
		t.text, t.hint = odd.what, odd.hint
	case got.status == 0:
		t.text, t.hint = g.silence(err)
	case got.status >= 200 && got.status < 300:
		t.text, t.hint = fmt.Sprintf("answered %d, but: %v", got.status, err), hintShape
	default:
		t.says, t.hint = refusal(got)
		t.text = fmt.Sprintf("answered %d %s", got.status, http.StatusText(got.status))
		if t.says != "" {
			t.text += ": " + t.says
		} else if len(got.body) > 0 {
			t.text += ": " + excerpt(got.body)
		}
		if to, err := url.Parse(got.header.Get("Location")); err == nil && to.Host != "" {
			t.text += ", to " + to.Scheme + "://" + to.Host + to.Path
		}
	}
	t.text = g.redact(got.request + ": " + t.text)
	return t
}

// silence is why no answer came.
func (g *GitLab) silence(err error) (text, hint string) {
	var certificate *tls.CertificateVerificationError
	var sent *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "was broken off", ""
	case errors.As(err, &certificate):
		return certificate.Error(), hintTLS
	case errors.As(err, &sent) && sent.Timeout():
		return fmt.Sprintf("no whole answer in time (gitlab.timeout is %s)", g.config.Timeout), hintDown
	case errors.Is(err, context.DeadlineExceeded):
		return "no whole answer in time", hintDown
	case errors.Is(err, io.EOF):
		return "the connection ended without an answer: EOF", hintDown
	case errors.As(err, &sent):
		return sent.Err.Error(), hintDown
	default:
		return err.Error(), hintDown
	}
}

// refusal is GitLab's message of an error, and what it asks for.
func refusal(got *answer) (says, hint string) {
	var body struct {
		Message any    `json:"message"`
		Error   string `json:"error"`
		Scope   string `json:"scope"`
	}
	if isJSON(got.header) && json.Unmarshal(got.body, &body) == nil {
		says = body.Error
		if body.Message != nil {
			says = fmt.Sprint(body.Message)
		}
		says = review.Printable(says, 200)
	}
	switch {
	case got.status == http.StatusUnauthorized:
		return says, hintToken
	case got.status == http.StatusForbidden && body.Error == "insufficient_scope":
		return says, hintScope
	case got.status == http.StatusForbidden:
		return says, hintRole
	case got.status == http.StatusNotFound && says != "":
		return says, hintMissing
	case got.status == http.StatusTooManyRequests:
		return says, hintLimit
	case got.status >= 500:
		return says, hintDown
	default:
		return says, hintOdd
	}
}

func excerpt(body []byte) string {
	return review.Printable(string(body[:min(len(body), 400)]), 100)
}
