package gitlabtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (s *Server) projectOne(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	return object(http.StatusOK, c.project.shape())
}

func noProject() *reply { return message(http.StatusNotFound, "404 Project Not Found") }

func (s *Server) branchList(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	names := slices.Sorted(slices.Values(c.project.Branches))
	item := func(i int) any { return c.project.branch(names[i]) }
	if c.query.Get("pagination") == "keyset" {
		return c.keyset(names, item)
	}
	return c.paged(len(names), item)
}

func (s *Server) branchOne(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	if !slices.Contains(c.project.Branches, c.args["branch"]) {
		return message(http.StatusNotFound, "404 Branch Not Found")
	}
	return object(http.StatusOK, c.project.branch(c.args["branch"]))
}

func (s *Server) environmentList(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	states := c.query.Get("states")
	if c.query.Has("states") && !slices.Contains([]string{"available", "stopping", "stopped"}, states) {
		return object(http.StatusBadRequest, map[string]any{"error": "states does not have a valid value"})
	}
	var found []Environment
	for _, env := range c.project.Environments {
		if (states == "" || env.State == states) && (!c.query.Has("name") || env.Name == c.query.Get("name")) {
			found = append(found, env)
		}
	}
	return c.paged(len(found), func(i int) any { return c.project.environment(found[i]) })
}

func (s *Server) environmentStop(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	var params struct {
		Force bool `json:"force"`
	}
	if r := c.decode(&params); r != nil {
		return r
	}
	for i := range c.project.Environments {
		env := &c.project.Environments[i]
		if env.ID != c.number("environment") {
			continue
		}
		if env.Protected {
			return message(http.StatusForbidden, "403 Forbidden")
		}
		env.State = "stopping" // its on_stop job is on its way
		if params.Force || c.query.Get("force") == "true" {
			env.State = "stopped"
		}
		return object(http.StatusOK, c.project.environment(*env))
	}
	return message(http.StatusNotFound, "404 Not found")
}

func (s *Server) mergeRequestList(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	since := time.Time{}
	if text := c.query.Get("updated_after"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return object(http.StatusBadRequest, map[string]any{"error": "updated_after is invalid"})
		}
	}
	state := c.query.Get("state")
	if state != "" && !slices.Contains([]string{"all", "opened", "closed", "merged", "locked"}, state) {
		return object(http.StatusBadRequest, map[string]any{"error": "state does not have a valid value"})
	}
	var found []MergeRequest
	for _, mr := range slices.Backward(c.project.MergeRequests) { // the newest first
		switch {
		case state != "" && state != "all" && mr.State != state:
		case c.query.Has("source_branch") && mr.Branch != c.query.Get("source_branch"):
		case c.query.Has("iids[]") && !slices.Contains(c.query["iids[]"], strconv.FormatInt(mr.IID, 10)):
		case mr.Updated.Before(since):
		default:
			found = append(found, mr)
		}
	}
	return c.paged(len(found), func(i int) any { return c.project.mergeRequest(found[i]) })
}

// mergeRequest returns the one of the path, or nil.
func (c *call) mergeRequest() *MergeRequest {
	if c.project == nil {
		return nil
	}
	for i := range c.project.MergeRequests {
		if c.project.MergeRequests[i].IID == c.number("iid") {
			return &c.project.MergeRequests[i]
		}
	}
	return nil
}

func (c *call) noMergeRequest() *reply {
	if c.project == nil {
		return noProject()
	}
	return message(http.StatusNotFound, "404 Not found")
}

func (s *Server) noteList(c *call) *reply {
	mr := c.mergeRequest()
	if mr == nil {
		return c.noMergeRequest()
	}
	notes := slices.Clone(mr.Notes)
	if c.query.Get("sort") != "asc" {
		slices.Reverse(notes)
	}
	return c.paged(len(notes), func(i int) any { return c.project.note(*mr, notes[i]) })
}

func (s *Server) noteCreate(c *call) *reply {
	mr := c.mergeRequest()
	if mr == nil {
		return c.noMergeRequest()
	}
	body, r := c.body()
	if r != nil {
		return r
	}
	mr.Notes = append(mr.Notes, Note{ID: s.nextID(), Author: s.user.ID, Body: body})
	return object(http.StatusCreated, c.project.note(*mr, mr.Notes[len(mr.Notes)-1]))
}

func (s *Server) noteUpdate(c *call) *reply {
	mr := c.mergeRequest()
	if mr == nil {
		return c.noMergeRequest()
	}
	for i := range mr.Notes {
		note := &mr.Notes[i]
		if note.ID != c.number("note") {
			continue
		}
		if note.Author != s.user.ID || note.System {
			return message(http.StatusForbidden, "403 Forbidden")
		}
		body, r := c.body()
		if r != nil {
			return r
		}
		note.Body = body
		return object(http.StatusOK, c.project.note(*mr, *note))
	}
	return message(http.StatusNotFound, "404 Not found")
}

// body is the text of a note, which GitLab wants.
func (c *call) body() (string, *reply) {
	params := struct {
		Body string `json:"body"`
	}{c.query.Get("body")}
	if r := c.decode(&params); r != nil {
		return "", r
	}
	if params.Body == "" {
		return "", object(http.StatusBadRequest, map[string]any{"error": "body is missing"})
	}
	return params.Body, nil
}

// decode reads parameters from the request's body, if it has one.
func (c *call) decode(params any) *reply {
	if c.ContentLength == 0 {
		return nil
	}
	decoder := json.NewDecoder(c.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(params); err != nil {
		return object(http.StatusBadRequest, map[string]any{"error": err.Error()})
	}
	return nil
}

func (s *Server) memberOne(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	for _, member := range c.project.Members {
		if member.UserID == c.number("user") {
			return object(http.StatusOK, member.shape())
		}
	}
	return message(http.StatusNotFound, "404 Not found")
}

func (s *Server) jobOne(c *call) *reply {
	if c.project == nil {
		return noProject()
	}
	for _, job := range c.project.Jobs {
		if job.ID == c.number("job") {
			return object(http.StatusOK, job.shape())
		}
	}
	return message(http.StatusNotFound, "404 Not found")
}

func (s *Server) tokenSelf(*call) *reply {
	return object(http.StatusOK, like("token", fields{"user_id": s.user.ID, "scopes": s.scopes, "expires_at": text(s.expires)}))
}

func (s *Server) userMe(*call) *reply {
	return object(http.StatusOK, s.user.shape(s.user.Admin))
}

func (s *Server) userOne(c *call) *reply {
	if c.number("user") != s.user.ID {
		return message(http.StatusNotFound, "404 User Not Found")
	}
	return object(http.StatusOK, s.user.shape(s.user.Admin && s.user.AdminMode))
}
