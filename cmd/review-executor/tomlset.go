package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tomlKey is a key to be set: apache.listen, or domain outside of any table.
type tomlKey struct{ table, key, value string }

// tomlTable begins a table, or one of a list of tables.
var tomlTable = regexp.MustCompile(`^\s*\[\[?\s*([^\]]+?)\s*\]`)

// setTOML sets a key to a string and keeps everything else, comments too. A key
// that is there already gets the new value in its line; a new one follows the head of its
// table, which is made at the end if need be. Tables within lines ("a = {…}") and dotted keys
// are not known: whoever calls reads the result again.
func setTOML(text string, set tomlKey) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	line := set.key + " = " + strconv.Quote(set.value)
	begin, end := tableLines(lines, set.table)
	if begin < 0 {
		return strings.Join(append(lines, "", "["+set.table+"]", line), "\n") + "\n"
	}
	is := regexp.MustCompile(`^\s*` + regexp.QuoteMeta(set.key) + `\s*=`)
	if i := slices.IndexFunc(lines[begin:end], is.MatchString); i >= 0 {
		lines[begin+i] = line
	} else {
		lines = slices.Insert(lines, begin, line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// tableLines are the lines of a table, without its head; begin is -1 if there is none. Those
// of no table begin behind the comments at the file's head.
func tableLines(lines []string, table string) (begin, end int) {
	begin = -1
	if table == "" {
		begin = 0
		for begin < len(lines) && strings.HasPrefix(lines[begin], "#") {
			begin++
		}
	}
	for i, line := range lines {
		head := tomlTable.FindStringSubmatch(line)
		switch {
		case head == nil:
		case begin >= 0 && i >= begin:
			return begin, i
		case head[1] == table && !strings.Contains(line, "[["):
			begin = i + 1
		}
	}
	return begin, len(lines)
}
