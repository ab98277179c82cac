package apache

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestUser is what the htpasswd program can still read beside a hash, in bytes.
const longestUser = 190

// CheckUser tells why a user of this name could not log in, or would be
// something else in the file than one user.
func CheckUser(name string) error {
	switch {
	case name == "":
		return errors.New("the name of the user is empty")
	case len(name) > longestUser:
		return fmt.Errorf("the name of the user has %d bytes, more than %d", len(name), longestUser)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("the name of the user has characters that cannot be printed")
	case strings.Contains(name, ":"):
		return errors.New("the name of the user has a colon, which ends a name in the file and in a login")
	case strings.HasPrefix(name, "#"):
		return errors.New("the name of the user begins with #, as comments do")
	case strings.TrimSpace(name) != name:
		return errors.New("the name of the user begins or ends with a space, which Apache does not read")
	}
	return nil
}

// CheckPassword tells why a password cannot be one.
func CheckPassword(password string) error {
	switch {
	case password == "":
		return errors.New("the password is empty")
	case len(password) > 72:
		return fmt.Errorf("the password has %d bytes, and bcrypt takes no more than 72", len(password))
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("the password has a control character, which no browser sends")
	}
	return nil
}

// userLine is a user's line. The version of bcrypt is named as the htpasswd
// program does: with "$2a$" Apache looks out for a mistake that ours never had.
func userLine(name, hash string) string {
	return name + ":" + strings.Replace(hash, "$2a$", "$2y$", 1) + "\n"
}

// withUser puts line in the place of the user's first, or at the end, and takes
// out the user's others. "" takes out all.
func withUser(text, name, line string) string {
	var b strings.Builder
	for one := range userLines(text) {
		if of, isUser := userOf(one); isUser && of == name {
			b.WriteString(line)
			line = ""
			continue
		}
		b.WriteString(one)
	}
	if line == "" {
		return b.String()
	}
	before := b.String()
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	if continues(before) {
		before += "\n"
	}
	return before + line
}

// usersOf lists the users, in the file's order.
func usersOf(text string) []string {
	var users []string
	for line := range userLines(text) {
		if name, isUser := userOf(line); isUser {
			users = append(users, name)
		}
	}
	return users
}

// userLines are the lines as Apache reads them, with their ends.
func userLines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		whole := ""
		for line := range strings.Lines(text) {
			whole += line
			if continues(line) {
				continue
			}
			if !yield(whole) {
				return
			}
			whole = ""
		}
		if whole != "" {
			yield(whole)
		}
	}
}

// continues tells whether the line after this one is a part of it.
func continues(line string) bool {
	return strings.HasSuffix(line, "\\\n") || strings.HasSuffix(line, "\\\r\n")
}

var continuation = strings.NewReplacer("\\\r\n", "", "\\\n", "")

// userOf tells whose line it is, as mod_authn_file finds it: with a colon or
// without. Of a user's lines the first counts.
func userOf(line string) (name string, isUser bool) {
	line = strings.Trim(continuation.Replace(line), " \t\r\n\v\f")
	if strings.HasPrefix(line, "#") {
		return "", false
	}
	name, _, _ = strings.Cut(line, ":")
	return name, name != ""
}
