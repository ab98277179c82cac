package gitlabtest

import (
	"slices"
	"time"
)

// Project is what there is of one.
type Project struct {
	ID            int64
	Path          string // full: group/shop
	Archived      bool
	DeletionOn    string // 2026-03-09: it is about to be deleted; "": it is not
	Hidden        bool   // the token's user may not see it, unless he sees everything
	Branches      []string
	Environments  []Environment
	MergeRequests []MergeRequest
	Members       []Member
	Jobs          []Job
}

// Environment of a project.
type Environment struct {
	ID        int64 // 0: the server chooses one
	Name      string
	State     string // "": available
	AutoStop  time.Time
	Updated   time.Time // zero: now
	Protected bool      // stopping it is forbidden
}

// MergeRequest of a project.
type MergeRequest struct {
	IID    int64
	Branch string
	Source int64  // the branch's project; 0: its own
	State  string // "": opened
	// Updated, Merged and Closed are shown as they are; zero Updated: now.
	Updated, Merged, Closed time.Time
	Notes                   []Note
}

// Note is a comment on a merge request.
type Note struct {
	ID     int64 // 0: the server chooses one
	Author int64 // 0: the token's user
	Body   string
	System bool
}

// Member of a project, of its own or by a group.
type Member struct {
	UserID     int64
	Level      int
	State      string // of the user: "": active
	Membership string // "": active
	Expires    string // 2026-03-09; "": never
}

// Job is a job of a pipeline.
type Job struct {
	ID   int64
	User int64 // who has started it
}

// User is the token's.
type User struct {
	ID    int64
	Admin bool
	// AdminMode: without it an administrator sees no more than another user, though
	// he is told that he is one.
	AdminMode bool
}

// Set adds the project, or replaces the one with its ID.
func (s *Server) Set(project Project) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := project.clone()
	s.complete(p)
	s.projects[p.ID] = p
}

// Change lets change do so with a project.
func (s *Server) Change(id int64, change func(*Project)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		change(p)
		s.complete(p)
	}
}

// Remove deletes a project.
func (s *Server) Remove(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.projects, id)
}

// Project returns a copy of one.
func (s *Server) Project(id int64) Project {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		return *p.clone()
	}
	return Project{}
}

// SetUser makes another user the token's.
func (s *Server) SetUser(user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user
}

// SetToken changes what the token may do, and the day on which it expires: 2026-03-09; "":
// never.
func (s *Server) SetToken(expires string, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expires, s.scopes = expires, scopes
}

func (p Project) clone() *Project {
	p.Branches = slices.Clone(p.Branches)
	p.Environments = slices.Clone(p.Environments)
	p.Members = slices.Clone(p.Members)
	p.Jobs = slices.Clone(p.Jobs)
	p.MergeRequests = slices.Clone(p.MergeRequests)
	for i := range p.MergeRequests {
		p.MergeRequests[i].Notes = slices.Clone(p.MergeRequests[i].Notes)
	}
	return &p
}

// complete fills in what the test has left to us.
func (s *Server) complete(p *Project) {
	for i := range p.Environments {
		env := &p.Environments[i]
		if env.Updated.IsZero() {
			env.Updated = time.Now()
		}
		if env.ID == 0 {
			env.ID = s.nextID()
		}
		if env.State == "" {
			env.State = "available"
		}
	}
	for i := range p.MergeRequests {
		mr := &p.MergeRequests[i]
		if mr.State == "" {
			mr.State = "opened"
		}
		if mr.Source == 0 {
			mr.Source = p.ID
		}
		if mr.Updated.IsZero() {
			mr.Updated = time.Now()
		}
		for j := range mr.Notes {
			if mr.Notes[j].ID == 0 {
				mr.Notes[j].ID = s.nextID()
			}
			if mr.Notes[j].Author == 0 {
				mr.Notes[j].Author = s.user.ID
			}
		}
	}
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// sees tells whether the token's user may see the project.
func (s *Server) sees(p *Project) bool {
	return p != nil && (!p.Hidden || s.user.Admin && s.user.AdminMode)
}
