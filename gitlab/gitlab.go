// Package gitlab asks GitLab: what there is of a project, who may do what in it,
// and tells it what has become of an app.
//
// It trusts no answer that it does not understand whole. Whatever is late, cut
// short, of another kind, or says of itself that there is more than came, is an
// error that names the request, what came and who can help; so nothing is removed
// because GitLab, or something before it, is in trouble.
package gitlab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/time/rate"

	"gitlab.com/review-executor/review-executor/review"
)

// GitLab is one GitLab, asked with one token. It is safe to use from many
// goroutines.
type GitLab struct {
	config Config
	token  string
	dir    string // of what is kept between calls; "": nothing is
	client *gl.Client

	mu sync.Mutex
	me *gl.User // the token's; nil: not asked yet
}

var _ review.Forge = (*GitLab)(nil)

// maxToken is more than any token.
const maxToken = 4096

// New reads the token and asks nothing yet. What GitLab has answered is kept under
// dir, private to our user, to be asked for again only if it has changed; "" keeps
// nothing. What lies there may be removed at any time.
func New(config Config, dir string) (*GitLab, error) {
	if !config.Configured() {
		return nil, &review.Failure{What: "there is no GitLab to ask", Hint: "set url and token_file under [gitlab]"}
	}
	if err := errors.Join(config.Problems()...); err != nil {
		return nil, err
	}
	token, err := readToken(config.TokenFile)
	if err != nil {
		return nil, &review.Failure{
			What:  "GitLab's token cannot be used",
			Cause: err,
			Hint:  "docs/gitlab.md says how to make the token and where to put it",
		}
	}
	g := &GitLab{config: config, token: token, dir: dir}
	answers := &transport{base: newBase()}
	if dir != "" {
		answers.kept = &etags{dir: filepath.Join(dir, "answers"), owner: g.owner()}
	}
	g.client, err = gl.NewClient(token,
		gl.WithBaseURL(config.URL),
		gl.WithUserAgent("review-executor"),
		gl.WithHTTPClient(&http.Client{
			Transport: answers,
			Timeout:   config.Timeout,
			// GitLab's API does not redirect, and a redirect would take the token with it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		// What GitLab says of its limits by a 429 is heeded in retry.go.
		gl.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0)),
		gl.WithCustomRetry(retry),
		gl.WithCustomRetryMax(maxRetries),
		gl.WithCustomBackoff(wait),
		gl.WithCustomRetryWaitMinMax(firstWait, longestWait),
	)
	return g, err
}

// newBase is Go's own transport, apart from everybody else's, with the
// environment's proxies. It ends idle connections soon: no process of ours lives long.
func newBase() *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 4
	base.IdleConnTimeout = 10 * time.Second
	return base
}

func readToken(file string) (string, error) {
	data, err := review.ReadPrivate(file, maxToken)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s must hold a token alone, in one line", file)
	}
	return token, nil
}

// owner names whose answers are kept, without telling the token.
func (g *GitLab) owner() string {
	sum := sha256.Sum256([]byte(g.config.URL + "\x00" + g.token))
	return hex.EncodeToString(sum[:])
}

// redact takes the token out of text that came from outside: a proxy's error page
// may show the request that it refuses.
func (g *GitLab) redact(text string) string {
	return strings.ReplaceAll(text, g.token, "[token]")
}
