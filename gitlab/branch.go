package gitlab

import (
	"context"
	"fmt"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// branches notes all that there are. They are read by their names, not by pages'
// numbers, so that none is missed when another goes meanwhile.
func (g *GitLab) branches(ctx context.Context, project int64, found map[string]bool) error {
	call := func(page gl.ListOptions, o ...gl.RequestOptionFunc) ([]*gl.Branch, *gl.Response, error) {
		return g.client.Branches.ListBranches(project, &gl.ListBranchesOptions{ListOptions: page}, o...)
	}
	all, hollow, err := list(ctx, g, gl.ListOptions{PerPage: perRequest, Pagination: "keyset"}, call)
	if err != nil {
		return err
	}
	for _, branch := range all {
		if branch.Name == "" {
			return oddItem("a branch of project %d, as GitLab tells it, has no name", project)
		}
		found[branch.Name] = true
	}
	if !hollow {
		return nil
	}
	return g.countBranches(ctx, len(found), call)
}

// countBranches makes sure of a list that ends with a full page: after it GitLab
// promises another, which then is empty, as it would be if it were lost.
func (g *GitLab) countBranches(ctx context.Context, want int, call lister[gl.Branch]) error {
	var resp *gl.Response
	_, got, err := ask(ctx, g, '[', func(o ...gl.RequestOptionFunc) ([]*gl.Branch, *gl.Response, error) {
		return call(gl.ListOptions{PerPage: 1, Page: 1}, o...)
	}, &resp)
	if err != nil {
		return err
	}
	if resp.TotalItems != int64(want) {
		return g.because(got, fmt.Errorf("there are %d branches, of which it told %d", resp.TotalItems, want))
	}
	return nil
}

// branch tells whether there is one of that very name.
func (g *GitLab) branch(ctx context.Context, project int64, name string) (bool, error) {
	branch, got, err := one(ctx, g, func(o ...gl.RequestOptionFunc) (*gl.Branch, *gl.Response, error) {
		return g.client.Branches.GetBranch(project, name, o...)
	})
	if answers404(err, "Branch") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if branch.Name != name {
		return false, g.because(got, fmt.Errorf("it is of branch %q", branch.Name))
	}
	return true, nil
}
