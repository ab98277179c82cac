package gitlab

import (
	"context"
	"errors"
	"net/http"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// Rights is what the token may do.
type Rights struct {
	Scopes  []string  // nil: this GitLab does not tell
	Expires time.Time // zero: never, or not told
	Date    time.Time // GitLab's clock when it answered; zero: not told
}

// Rights asks GitLab about the token itself. A GitLab before 15.5 does not tell, and is
// asked for the token's user, so that a wrong token is known there, too.
func (g *GitLab) Rights(ctx context.Context) (Rights, error) {
	token, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.PersonalAccessToken, *gl.Response, error) {
		return g.client.PersonalAccessTokens.GetSinglePersonalAccessToken(o...)
	})
	var t *trouble
	if errors.As(err, &t) && t.status == http.StatusNotFound && t.says != "" {
		if _, err = g.user(ctx); err == nil {
			return Rights{Date: date(got)}, nil
		}
	}
	if err != nil {
		return Rights{}, failure("GitLab does not tell what the token may do", err)
	}
	rights := Rights{Scopes: token.Scopes, Date: date(got)}
	if rights.Scopes == nil {
		return Rights{}, failure("GitLab does not tell what the token may do", g.because(got, errors.New("it has no scopes")))
	}
	if token.ExpiresAt != nil {
		rights.Expires = time.Time(*token.ExpiresAt)
	}
	return rights, nil
}

// date is when the answer was made, by GitLab's clock.
func date(got *answer) time.Time {
	at, err := http.ParseTime(got.header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}
