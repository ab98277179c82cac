package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"

	"gitlab.com/review-executor/review-executor/review"
)

// wish is a key of the configuration that shall have a value.
type wish struct{ table, key, value string }

func (w wish) String() string {
	if w.table == "" {
		return w.line()
	}
	return "[" + w.table + "] " + w.line()
}

func (w wish) line() string { return w.key + " = " + strconv.Quote(w.value) }

// tableHeader is a line that begins a table, or one of several.
var tableHeader = regexp.MustCompile(`^\s*\[+\s*([A-Za-z0-9_.-]+)\s*\]+\s*(#.*)?$`)

// grantWish returns the text of a configuration with the wish in it, and everything
// else as it was, comments too. It takes the place of the key's line, or of one that
// is commented out, or follows the head of its table.
func grantWish(text string, w wish) string {
	var lines []string
	if text != "" {
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	set := regexp.MustCompile(`^\s*` + regexp.QuoteMeta(w.key) + `\s*=`)
	commented := regexp.MustCompile(`^\s*#\s*` + regexp.QuoteMeta(w.key) + `\s*=`)
	table, head, at := "", -1, -1
	if w.table == "" {
		head = 0
	}
	for i, line := range lines {
		// A table that is commented out, as in the package's file, is one that may be had.
		bare := strings.TrimPrefix(strings.TrimSpace(line), "#")
		if match := tableHeader.FindStringSubmatch(bare); match != nil {
			table = match[1]
			if table == w.table && !strings.HasPrefix(strings.TrimSpace(line), "[[") {
				head = i
			}
			continue
		}
		if table != w.table || at >= 0 && !set.MatchString(line) {
			continue
		}
		if set.MatchString(line) || commented.MatchString(line) {
			at = i
		}
	}
	switch {
	case at >= 0:
		lines[at] = w.line()
	case head < 0:
		return strings.Join(append(lines, "", "["+w.table+"]", w.line()), "\n") + "\n"
	case w.table == "":
		lines = append([]string{w.line()}, lines...)
	default:
		lines = append(lines[:head+1], append([]string{w.line()}, lines[head+1:]...)...)
	}
	if head >= 0 && w.table != "" {
		lines[head] = "[" + w.table + "]"
	}
	return strings.Join(lines, "\n") + "\n"
}

// granted is grantWish where the result is what it should be: the file as it was, but
// for the wish. TOML has ways of writing in which a line is not what it looks like.
func granted(text string, w wish) (string, error) {
	var before, after map[string]any
	if err := toml.Unmarshal([]byte(text), &before); err != nil {
		return "", tomlError(err)
	}
	if before == nil {
		before = map[string]any{}
	}
	table := before
	if w.table != "" {
		inner, is := before[w.table].(map[string]any)
		if !is && before[w.table] != nil {
			return "", fmt.Errorf("%s is no table there", w.table)
		}
		if inner == nil {
			inner = map[string]any{}
			before[w.table] = inner
		}
		table = inner
	}
	if table[w.key] == w.value {
		return text, nil
	}
	table[w.key] = w.value
	next := grantWish(text, w)
	if err := toml.Unmarshal([]byte(next), &after); err != nil || !reflect.DeepEqual(before, after) {
		return "", errors.New("it is written in a way that only a person can change")
	}
	return next, nil
}

// configChange is what setup does to a configuration file.
type configChange struct {
	file          string
	before, after string
	wishes        []wish // that it does not have yet
}

// planConfig finds out what has to change in the file for it to have all wishes. Whether the
// result can be used is looked at here, so that nothing is written which cannot.
func planConfig(file string, wishes []wish) (configChange, error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return configChange{}, err
	}
	c := configChange{file: file, before: string(data), after: string(data)}
	for _, w := range wishes {
		next, err := granted(c.after, w)
		if err != nil {
			return c, &review.Failure{
				What:  fmt.Sprintf("%s could not be brought to have %s", file, w),
				Cause: err,
				State: "nothing was changed",
				Hint:  "write that into the file, and run this again",
			}
		}
		if next != c.after {
			c.after = next
			c.wishes = append(c.wishes, w)
		}
	}
	settings := defaultSettings()
	if err := decodeSettings([]byte(c.after), &settings); err != nil {
		return c, &review.Failure{
			What:  file + " could not be used with what was asked for",
			Cause: err,
			State: "nothing was changed",
			Hint:  "mend what is named in that file, or on the command line; docs/configuration.md describes every key",
		}
	}
	return c, nil
}

// write replaces the file. Everybody may read it: it holds no secret.
func (c configChange) write() error {
	if c.after == c.before {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o755); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("write the configuration: %w", err)
	}
	if err := renameio.WriteFile(c.file, []byte(c.after), 0o644, renameio.WithStaticPermissions(0o644)); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}
