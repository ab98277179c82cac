package gitlabtest

import (
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"sync"
	"time"
)

// testdata has one answer of each kind, with every field that GitLab documents. Ours
// are made from them.
//
//go:embed testdata
var testdata embed.FS

// Example returns the documented answer of a kind: project, branch, environment,
// merge_request, member, note, token, user.
func Example(kind string) []byte {
	data, err := testdata.ReadFile("testdata/" + kind + ".json")
	if err != nil {
		panic(err)
	}
	return data
}

type fields = map[string]any

var examples = sync.OnceValue(func() map[string]fields {
	read := map[string]fields{}
	for _, kind := range []string{"project", "branch", "environment", "merge_request", "member", "note", "job", "token", "user", "user_admin"} {
		var example fields
		if err := json.Unmarshal(Example(kind), &example); err != nil {
			panic(kind + ": " + err.Error())
		}
		read[kind] = example
	}
	return read
})

// like is the example with other values.
func like(kind string, values fields) fields {
	shape := maps.Clone(examples()[kind])
	maps.Copy(shape, values)
	return shape
}

// inside is a part of an example with other values.
func inside(kind, part string, values fields) fields {
	shape := maps.Clone(examples()[kind][part].(fields))
	maps.Copy(shape, values)
	return shape
}

// timestamp is a time as GitLab writes it, and null for none.
func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// text is null if there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (p *Project) web() string { return "https://gitlab.example.org/" + p.Path }

func (p *Project) shape() fields {
	api := fmt.Sprintf("https://gitlab.example.org/api/v4/projects/%d", p.ID)
	return like("project", fields{
		"id": p.ID, "path_with_namespace": p.Path, "path": path.Base(p.Path), "name": path.Base(p.Path),
		"web_url": p.web(), "archived": p.Archived, "empty_repo": len(p.Branches) == 0,
		"marked_for_deletion_at": text(p.DeletionOn), "marked_for_deletion_on": text(p.DeletionOn),
		"_links": inside("project", "_links", fields{"self": api, "repo_branches": api + "/repository/branches"}),
	})
}

func (p *Project) branch(name string) fields {
	sum := sha1.Sum([]byte(p.Path + name))
	sha := hex.EncodeToString(sum[:])
	return like("branch", fields{
		"name": name, "default": name == "main", "protected": name == "main",
		"web_url": p.web() + "/-/tree/" + (&url.URL{Path: name}).EscapedPath(),
		"commit":  inside("branch", "commit", fields{"id": sha, "short_id": sha[:8], "web_url": p.web() + "/-/commit/" + sha}),
	})
}

func (p *Project) environment(env Environment) fields {
	return like("environment", fields{
		"id": env.ID, "name": env.Name, "slug": fmt.Sprintf("env-%d", env.ID), "state": env.State, "auto_stop_at": timestamp(env.AutoStop), "updated_at": timestamp(env.Updated),
		"logs_api_path": "/" + p.Path + "/-/logs/k8s.json?environment_name=" + url.QueryEscape(env.Name),
	})
}

func (p *Project) mergeRequest(mr MergeRequest) fields {
	short := fmt.Sprintf("!%d", mr.IID)
	shape := like("merge_request", fields{
		"id": p.ID*1_000_000 + mr.IID, "iid": mr.IID, "project_id": p.ID, "target_project_id": p.ID, "source_project_id": mr.Source,
		"source_branch": mr.Branch, "state": mr.State, "updated_at": timestamp(mr.Updated),
		"merged_at": timestamp(mr.Merged), "closed_at": timestamp(mr.Closed),
		"reference": short, "references": fields{"short": short, "relative": short, "full": p.Path + short},
		"web_url": fmt.Sprintf("%s/-/merge_requests/%d", p.web(), mr.IID), "user_notes_count": len(mr.Notes),
	})
	if mr.Merged.IsZero() {
		shape["merged_by"], shape["merge_user"], shape["merge_commit_sha"] = nil, nil, nil
	}
	if !mr.Closed.IsZero() {
		shape["closed_by"] = shape["author"]
	}
	return shape
}

func (p *Project) note(mr MergeRequest, note Note) fields {
	return like("note", fields{
		"id": note.ID, "body": note.Body, "system": note.System, "project_id": p.ID,
		"noteable_id": p.ID*1_000_000 + mr.IID, "noteable_iid": mr.IID, //nolint:misspell // so GitLab spells it
		"author": inside("note", "author", fields{"id": note.Author, "username": fmt.Sprintf("user%d", note.Author)}),
	})
}

func (m Member) shape() fields {
	state, membership := m.State, m.Membership
	if state == "" {
		state = "active"
	}
	if membership == "" {
		membership = "active"
	}
	return like("member", fields{
		"id": m.UserID, "username": fmt.Sprintf("user%d", m.UserID), "access_level": m.Level,
		"state": state, "membership_state": membership, "expires_at": text(m.Expires),
	})
}

func (j Job) shape() fields {
	return like("job", fields{
		"id": j.ID, "user": inside("job", "user", fields{"id": j.User, "username": fmt.Sprintf("user%d", j.User)}),
	})
}

// shape is the user, with what only administrators are told.
func (u User) shape(admin bool) fields {
	shape := like("user", fields{"id": u.ID, "username": fmt.Sprintf("user%d", u.ID)})
	if admin {
		maps.Copy(shape, examples()["user_admin"])
	}
	return shape
}
