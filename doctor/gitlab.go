package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

// Rights is what GitLab tells of the token.
type Rights struct {
	Scopes  []string  // nil: this GitLab does not tell
	Expires time.Time // zero: never, or not told
	Date    time.Time // GitLab's clock when it answered; zero: not told
}

// GitLab checks that GitLab can be asked.
type GitLab struct {
	Host
	URL       string // "": none is configured
	TokenFile string
	Notes     bool // comments are wanted
	// Ask asks GitLab. Two checks call it at the same time.
	Ask func(context.Context) (Rights, error)
}

// expiresSoon is when the end of the token is told of.
const expiresSoon = 14 * 24 * time.Hour

// Token checks that GitLab answers, and what the token may do.
func (g GitLab) Token(ctx context.Context) []Finding {
	if g.URL == "" {
		return warn("GitLab is not asked: apps end by their stop job, their time or by hand only (docs/gitlab.md)", "# set url and token_file under [gitlab] in "+Quote(g.ConfigFile))
	}
	rights, err := g.Ask(ctx)
	if err != nil {
		f := review.AsFailure(err)
		seen := f.Error()
		if f.Hint != "" {
			seen += "; " + f.Hint
		}
		return fail(seen, "# "+g.newToken())
	}
	var found []Finding
	has := func(scope string) bool { return rights.Scopes == nil || slices.Contains(rights.Scopes, scope) }
	switch {
	case !has("api") && !has("read_api"):
		found = append(found, fail(fmt.Sprintf("the token has the scope %s, and to know which branches there are it needs read_api", strings.Join(rights.Scopes, ", ")), "# "+g.newToken())...)
	case !has("api") && g.Notes:
		found = append(found, fail("the token has only the scope read_api, and gitlab.notes needs api", "# "+g.newToken())...)
	case !has("api"):
		found = append(found, warn("the token has only the scope read_api: apps that end are not stopped in GitLab", "# "+g.newToken())...)
	}
	if left := rights.Expires.Sub(g.Now); !rights.Expires.IsZero() && left < expiresSoon {
		found = append(found, warn(fmt.Sprintf("the token expires on %s; then nothing ends on GitLab's word any more", rights.Expires.Format(time.DateOnly)), "# "+g.newToken())...)
	}
	return orOK(found, "%s answers, and the token may do what it must", g.URL)
}

func (g GitLab) newToken() string {
	return fmt.Sprintf("make a new token as docs/gitlab.md says, then: install -o %s -m 0600 /dev/stdin %s", Quote(g.User.Name), Quote(g.TokenFile))
}

// offBy is how far clocks may differ: GitLab's times decide what is newer, and signatures are
// valid for minutes.
const offBy = 30 * time.Second

// Clock compares this host's clock with GitLab's.
func (g GitLab) Clock(ctx context.Context) []Finding {
	if g.URL == "" || g.Ask == nil {
		return skip("there is no GitLab whose clock could be compared")
	}
	rights, err := g.Ask(ctx)
	if err != nil || rights.Date.IsZero() {
		return skip("GitLab does not tell the time")
	}
	return clock(time.Since(rights.Date), rights.Date)
}

func clock(ahead time.Duration, gitlab time.Time) []Finding {
	if ahead.Abs() <= offBy {
		return ok("within %s of GitLab's", offBy)
	}
	how := "ahead of"
	if ahead < 0 {
		how = "behind"
	}
	return byHand(fail(fmt.Sprintf("this host's clock is %s %s GitLab's (%s)", ahead.Abs().Round(time.Second), how, gitlab.UTC().Format(time.RFC3339)),
		"timedatectl set-ntp true", "# without a time daemon, before that: apt-get install systemd-timesyncd"))
}
