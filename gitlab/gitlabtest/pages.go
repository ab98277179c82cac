package gitlabtest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// paged answers one page of a list, with GitLab's headers.
func (c *call) paged(total int, item func(i int) any) *reply {
	page, ok1 := c.positive("page", 1)
	size, ok2 := c.positive("per_page", 20)
	if !ok1 || !ok2 {
		return object(http.StatusBadRequest, map[string]any{"error": "page does not have a valid value"})
	}
	size = min(size, 100)
	items := []any{}
	for i := (page - 1) * size; i < min(page*size, total); i++ {
		items = append(items, item(i))
	}
	answer := object(http.StatusOK, items)
	last := max((total+size-1)/size, 1)
	links := c.link(size, 1, "first") + ", " + c.link(size, last, "last")
	header := map[string]string{
		"X-Total": strconv.Itoa(total), "X-Total-Pages": strconv.Itoa(last), "X-Per-Page": strconv.Itoa(size),
		"X-Page": strconv.Itoa(page), "X-Next-Page": "", "X-Prev-Page": "",
	}
	if page < last {
		header["X-Next-Page"] = strconv.Itoa(page + 1)
		links = c.link(size, page+1, "next") + ", " + links
	}
	if page > 1 {
		header["X-Prev-Page"] = strconv.Itoa(page - 1)
		links = c.link(size, page-1, "prev") + ", " + links
	}
	for name, value := range header {
		answer.header.Set(name, value)
	}
	answer.header.Set("Link", links)
	return answer
}

func (c *call) positive(name string, otherwise int) (int, bool) {
	if !c.query.Has(name) {
		return otherwise, true
	}
	n, err := strconv.Atoi(c.query.Get(name))
	return n, err == nil && n > 0
}

func (c *call) link(size, page int, rel string) string {
	return c.linkTo(map[string]string{"page": strconv.Itoa(page), "per_page": strconv.Itoa(size)}, rel)
}

// linkTo is the request's own address with other parameters.
func (c *call) linkTo(params map[string]string, rel string) string {
	query := url.Values{}
	for name, values := range c.query {
		query[name] = values
	}
	for name, value := range params {
		query.Set(name, value)
	}
	return fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, c.Host, c.URL.EscapedPath(), query.Encode(), rel)
}

// keyset answers the page after the item that page_token names, as GitLab does for
// branches: a full page promises another, without knowing whether there is one.
func (c *call) keyset(names []string, item func(i int) any) *reply {
	size, ok := c.positive("per_page", 20)
	if !ok {
		return object(http.StatusBadRequest, map[string]any{"error": "per_page does not have a valid value"})
	}
	size = min(size, 100)
	token := c.query.Get("page_token")
	items := []any{}
	last := ""
	for i, name := range names {
		if (token == "" || name > token) && len(items) < size {
			items = append(items, item(i))
			last = name
		}
	}
	answer := object(http.StatusOK, items)
	if len(items) == size {
		answer.header.Set("Link", c.linkTo(map[string]string{"page_token": last, "per_page": strconv.Itoa(size)}, "next"))
	}
	return answer
}
