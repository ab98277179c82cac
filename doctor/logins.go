package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// Logins checks the files of users.
type Logins struct {
	Host
	// Files are those of apache.htpasswd, with "" for its project, and of projects' own.
	Files map[string]string
	Order []string // of the projects
}

// hashes are those that Apache on Linux knows: bcrypt, its own MD5, SHA-1, and what
// crypt(3) knows by a "$".
var hashes = regexp.MustCompile(`^(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}|\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}|\{SHA\}[A-Za-z0-9+/]{27}=|\$[15679y]\$.+)$`)

// Users checks that each file of users is there, that Apache can read it, and that its users
// can log in.
func (l Logins) Users(ctx context.Context) []Finding {
	if len(l.Files) == 0 {
		return skip("logins are not by a file of users")
	}
	apaches, err := lookupUser("www-data")
	known := err == nil
	var found []Finding
	users := 0
	for _, project := range l.Order {
		n, problems := l.file(ctx, project, l.Files[project], apaches, known)
		users += n
		found = append(found, problems...)
	}
	return orOK(found, "%d users in %d files", users, len(l.Files))
}

// file checks one file.
func (l Logins) file(ctx context.Context, project, file string, apaches User, known bool) (users int, found []Finding) {
	text, err := l.read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fail(fmt.Sprintf("there is no %s: nobody can log in, and no deploy is published", file), l.set(project, file, "alice"))
	case errors.Is(err, fs.ErrPermission):
		return 0, skip("only root may read %s", file)
	case err != nil:
		return 0, fail(err.Error())
	}
	if may, can := apaches.may(ctx, "-r", file); known && can && !may {
		found = append(found, fail(fmt.Sprintf("Apache's user may not read %s: nobody can log in", file), l.readable(file))...)
	}
	for line := range strings.Lines(string(text)) {
		name, hash := login(line)
		if name == "" {
			continue
		}
		users++
		hash, _, _ = strings.Cut(hash, ":")
		if !hashes.MatchString(hash) {
			found = append(found, fail(fmt.Sprintf("%s cannot log in: what %s has as the hash of the password is none", printable(name), file), l.set(project, file, name))...)
		}
	}
	if users == 0 {
		found = append(found, fail(file+" has no user: nobody can log in", l.set(project, file, "alice"))...)
	}
	return users, found
}

// login is the user of a line, "" for none, and what follows.
func login(line string) (name, rest string) {
	name, rest, _ = strings.Cut(strings.TrimSpace(line), ":")
	if strings.HasPrefix(name, "#") {
		return "", ""
	}
	return name, rest
}

// HasLogin tells whether a file of users has this one.
func (h Host) HasLogin(file, user string) bool {
	text, err := h.read(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if name, _ := login(line); name != "" && name == user {
			return true
		}
	}
	return false
}

// SetLogin is for root's shell: it gives a user of apache.htpasswd, which is file, a password.
func (h Host) SetLogin(file, user string) string { return Logins{Host: h}.set("", file, user) }

// readable is for root's shell: it lets Apache's user read the file. In the user's own directory
// root follows no link.
func (l Logins) readable(file string) string {
	if mayCreate(file, l.User) && !l.User.isRoot() {
		return command("chown", "--no-dereference", l.User.Name+":", file) + " && " + l.User.Command("chmod", "a+r", file)
	}
	return command("chgrp", "www-data", file) + " && " + command("chmod", "g+r,o-rwx", file)
}

// set is for root's shell: it gives a user a password, as who owns the file of users.
func (l Logins) set(project, file, user string) string {
	argv := []string{"password", "set", "--generate"}
	if project != "" {
		argv = append(argv, "--project", project)
	}
	if strings.HasPrefix(user, "-") {
		argv = append(argv, "--")
	}
	argv = append(argv, user)
	if mayCreate(file, l.User) {
		return l.asRunner(argv...)
	}
	// Root may not write to another's state, and then says that the front is still to be run.
	return command(l.own(argv...)...) + " || " + l.asRunner("front")
}
