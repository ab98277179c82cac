package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Secrets are what the senders must know. An empty one matches nothing.
type Secrets struct {
	GitLab string // a secret token or, beginning with "whsec_", a signing token
	GitHub string
}

// signingToken is how GitLab's signing tokens begin:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const signingToken = "whsec_"

// signatureAge is how far a signature's time may be from ours, so that nobody can
// send an old request again for ever.
const signatureAge = 5 * time.Minute

// Check tells what is wrong with a secret that is set: it could never match.
func (s Secrets) Check() error {
	if _, err := s.signingKey(); strings.HasPrefix(s.GitLab, signingToken) && err != nil {
		return errors.New(`GitLab's signing token is not "whsec_" and base64`)
	}
	return nil
}

func (s Secrets) signingKey() ([]byte, error) {
	encoded, _ := strings.CutPrefix(s.GitLab, signingToken)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil && len(key) == 0 {
		err = errors.New("is empty")
	}
	return key, err
}

// signed tells whether GitLab's requests are signed, so that their body is needed
// to know them.
func (s Secrets) signed() bool { return strings.HasPrefix(s.GitLab, signingToken) }

// knowsToken tells whether the request has GitLab's secret token. Its time depends
// neither on the secret nor on its length.
func (s Secrets) knowsToken(h http.Header) bool {
	want, got := sha256.Sum256([]byte(s.GitLab)), sha256.Sum256([]byte(h.Get("X-Gitlab-Token")))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && s.GitLab != ""
}

// signedByGitLab tells whether GitLab's signing token has signed the request within
// some minutes of now.
func (s Secrets) signedByGitLab(h http.Header, body []byte, now time.Time) bool {
	key, err := s.signingKey()
	if err != nil {
		return false
	}
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signatureAge {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, one := range strings.Fields(h.Get("webhook-signature")) {
		encoded, found := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if found && err == nil && hmac.Equal(want, got) {
			return true
		}
	}
	return false
}

// signedByGitHub tells whether GitHub's secret has signed the body.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
func (s Secrets) signedByGitHub(h http.Header, body []byte) bool {
	encoded, found := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	got, err := hex.DecodeString(encoded)
	if !found || err != nil || s.GitHub == "" {
		return false
	}
	mac := hmac.New(sha256.New, []byte(s.GitHub))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), got)
}
