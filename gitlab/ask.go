package gitlab

import (
	"context"
	"errors"
	"fmt"

	gl "gitlab.com/gitlab-org/api/client-go/v2"
)

// perRequest is the most that GitLab sends at once.
const perRequest = 100

// one asks for one thing.
func one[T any](ctx context.Context, g *GitLab, call func(...gl.RequestOptionFunc) (*T, *gl.Response, error)) (*T, *answer, error) {
	return ask(ctx, g, '{', call, nil)
}

// ask calls and makes sure that the answer begins as it must: client-go takes null
// for an empty list.
func ask[T any](ctx context.Context, g *GitLab, begins byte, call func(...gl.RequestOptionFunc) (T, *gl.Response, error), response **gl.Response) (T, *answer, error) {
	ctx, got := noting(ctx)
	value, resp, err := call(gl.WithContext(ctx))
	if err == nil && (len(got.body) == 0 || got.body[0] != begins) {
		kind := map[byte]string{'{': "an object", '[': "a list"}[begins]
		err = fmt.Errorf("it is not %s: %s", kind, excerpt(got.body))
	}
	if err != nil {
		var none T
		return none, got, g.because(got, err)
	}
	if response != nil {
		*response = resp
	}
	return value, got, nil
}

// lister asks for one page.
type lister[T any] func(gl.ListOptions, ...gl.RequestOptionFunc) ([]*T, *gl.Response, error)

// list asks for all pages of a list whose items GitLab counts. A list that changes
// while it is read is read again: by its pages' numbers, an item would be missed
// when one before it goes. Hollow tells that the last page, which the one before
// had promised, was empty.
func list[T any](ctx context.Context, g *GitLab, options gl.ListOptions, call lister[T]) (all []*T, hollow bool, err error) {
	for range 3 {
		all, hollow, err = pages(ctx, g, options, call, true)
		if !errors.Is(err, errChanged) {
			break
		}
		// What is kept of its pages may not go together.
		ctx = context.WithValue(ctx, anewKey{}, true)
	}
	return all, hollow, err
}

var errChanged = errors.New("it changes while it is read")

// maxPagesRead is more than any list of a project has; it ends a list that goes round.
const maxPagesRead = 1000

// pages reads from the first page to the last. Counted, the number of items must be
// what GitLab says that it is, and no page but one that is found by its first name
// may be empty where there should be more.
func pages[T any](ctx context.Context, g *GitLab, options gl.ListOptions, call lister[T], counted bool) (all []*T, hollow bool, err error) {
	var next []gl.RequestOptionFunc
	var link string
	total := int64(-1)
	for number := int64(1); number <= maxPagesRead; number++ {
		var resp *gl.Response
		page, got, err := ask(ctx, g, '[', func(o ...gl.RequestOptionFunc) ([]*T, *gl.Response, error) {
			return call(options, append(o, next...)...)
		}, &resp)
		if err != nil {
			return nil, false, err
		}
		odd := func(format string, args ...any) ([]*T, bool, error) {
			return nil, false, g.because(got, fmt.Errorf(format, args...))
		}
		all = append(all, page...)
		if counted && resp.Header.Get("X-Total") != "" {
			if total >= 0 && total != resp.TotalItems {
				return odd("%w: %d items, then %d", errChanged, total, resp.TotalItems)
			}
			total = resp.TotalItems
		}
		hollow = number > 1 && len(page) == 0
		switch {
		case counted && hollow && options.Pagination == "":
			return odd("%w: page %d is empty, and the page before said that there is more", errChanged, number)
		case resp.NextPage != 0 && resp.NextPage != number+1:
			return odd("after page %d comes page %d", number, resp.NextPage)
		case resp.NextPage != 0:
			next = []gl.RequestOptionFunc{gl.WithOffsetPaginationParameters(resp.NextPage)}
		case resp.NextLink != "" && resp.NextLink == link:
			return odd("after page %d comes the same page", number)
		case resp.NextLink != "":
			link = resp.NextLink
			next = []gl.RequestOptionFunc{gl.WithKeysetPaginationParameters(link)}
		case counted && options.Pagination == "" && total < 0 && len(all) == 0:
			return odd("an empty list without X-Total, which GitLab sends with every list this short")
		case total >= 0 && total != int64(len(all)):
			return odd("%w: %d items of %d", errChanged, len(all), total)
		default:
			return all, hollow, nil
		}
	}
	return nil, false, fmt.Errorf("a list of more than %d pages", maxPagesRead)
}
