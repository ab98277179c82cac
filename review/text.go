package review

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes s safe to show in one line of a log: control characters and
// broken UTF-8 become "?", and it is cut after limit runes.
func Printable(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == limit {
			b.WriteString("…")
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// shortSHA is a commit as people write it.
func shortSHA(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}
