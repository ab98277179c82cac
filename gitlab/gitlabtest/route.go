package gitlabtest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// endpoint is one of the API's.
type endpoint struct {
	name    string
	pattern string   // GET projects/:project
	params  []string // of the query
	answer  func(*call) *reply
}

func (s *Server) all() []endpoint {
	page := []string{"page", "per_page"}
	sorted := []string{"page", "per_page", "order_by", "sort"}
	return []endpoint{
		{ProjectOne, "GET projects/:project", []string{"license", "statistics", "with_custom_attributes"}, s.projectOne},
		{BranchList, "GET projects/:project/repository/branches", append([]string{"pagination", "page_token"}, page...), s.branchList},
		{BranchOne, "GET projects/:project/repository/branches/:branch", nil, s.branchOne},
		{EnvironmentList, "GET projects/:project/environments", append([]string{"name", "states"}, page...), s.environmentList},
		{EnvironmentStop, "POST projects/:project/environments/:environment/stop", []string{"force"}, s.environmentStop},
		{MergeRequests, "GET projects/:project/merge_requests", append([]string{"iids[]", "state", "source_branch", "updated_after"}, sorted...), s.mergeRequestList},
		{NoteList, "GET projects/:project/merge_requests/:iid/notes", sorted, s.noteList},
		{NoteCreate, "POST projects/:project/merge_requests/:iid/notes", []string{"body"}, s.noteCreate},
		{NoteUpdate, "PUT projects/:project/merge_requests/:iid/notes/:note", []string{"body"}, s.noteUpdate},
		{MemberOne, "GET projects/:project/members/all/:user", nil, s.memberOne},
		{JobOne, "GET projects/:project/jobs/:job", nil, s.jobOne},
		{TokenSelf, "GET personal_access_tokens/self", nil, s.tokenSelf},
		{UserMe, "GET user", nil, s.userMe},
		{UserOne, "GET users/:user", []string{"with_custom_attributes"}, s.userOne},
	}
}

// route finds the endpoint by the path's parts, each of which may hold an escaped
// slash.
func (s *Server) route(r *http.Request) (*call, string, func(*call) *reply) {
	_, path, _ := strings.Cut(r.URL.EscapedPath(), "/api/v4/")
	for _, known := range s.endpoints {
		method, pattern, _ := strings.Cut(known.pattern, " ")
		if args := match(pattern, path); args != nil && method == r.Method {
			c := &call{Request: r, args: args, query: r.URL.Query()}
			return c, known.name, known.checked
		}
	}
	return &call{Request: r}, unknown, noSuchPlace
}

// match returns the arguments in the path, or nil if it is of another pattern.
func match(pattern, path string) map[string]string {
	wanted, parts := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(wanted) != len(parts) {
		return nil
	}
	args := map[string]string{}
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil || text == "" {
			return nil
		}
		if name, variable := strings.CutPrefix(wanted[i], ":"); variable {
			args[name] = text
		} else if text != wanted[i] {
			return nil
		}
	}
	return args
}

// checked answers only to parameters that are known.
func (e endpoint) checked(c *call) *reply {
	for name := range c.query {
		if !slices.Contains(e.params, name) {
			return object(http.StatusBadRequest, map[string]any{"error": name + " is unknown"})
		}
	}
	return e.answer(c)
}

func noSuchPlace(*call) *reply {
	return object(http.StatusNotFound, map[string]any{"error": "404 Not Found"})
}

// number is an argument of the path as one; 0: it is none.
func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.args[name], 10, 64)
	return n
}
