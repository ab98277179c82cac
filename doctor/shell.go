package doctor

import (
	"regexp"
	"strings"
)

// plain needs no quotes in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote is a word for a shell.
func Quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// command is a command line for a shell.
func command(argv ...string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = Quote(word)
	}
	return strings.Join(words, " ")
}

// Runs tells whether a line of Finding.Mend does its work without anybody's hands: it is no
// comment, opens no editor, and waits for nothing to be typed.
func Runs(line string) bool {
	return !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "sensible-editor ") && !strings.Contains(line, "  # ") && !strings.Contains(line, " # goes below")
}
