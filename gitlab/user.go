package gitlab

import (
	"context"
	"errors"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// seesAll tells whether the token's user may read every project. An administrator
// whose token has no admin mode may not; GitLab then tells nobody is_admin but the
// user's own.
func (g *GitLab) seesAll(ctx context.Context) (bool, error) {
	me, err := g.user(ctx)
	if err != nil || !me.IsAdmin {
		return false, err
	}
	seen, _, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.User, *gl.Response, error) {
		return g.client.Users.GetUser(me.ID, nil, o...)
	})
	if err != nil {
		return false, err
	}
	return seen.IsAdmin && seen.ID == me.ID, nil
}

// user is the token's. It is asked for once.
func (g *GitLab) user(ctx context.Context) (*gl.User, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.me != nil {
		return g.me, nil
	}
	me, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.User, *gl.Response, error) {
		return g.client.Users.CurrentUser(o...)
	})
	if err != nil {
		return nil, err
	}
	if me.ID <= 0 {
		return nil, g.because(got, errors.New("the user has no id"))
	}
	g.me = me
	return me, nil
}
