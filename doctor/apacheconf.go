package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// directives are those of Apache's configuration that the checks need, found by reading
// its files as Apache does, but for the conditions: Apache itself tells nobody but who may
// read every file, keys included.
type directives struct {
	modules  map[string]bool // that are loaded, without "_module"
	includes []string        // patterns, absolute
}

// maxFiles ends includes that go round.
const maxFiles = 5000

var directive = regexp.MustCompile(`(?i)^\s*(LoadModule|Include|IncludeOptional|ServerRoot)\s+("[^"]*"|\S+)`)

// readApache reads the configuration that begins in file.
func readApache(file string) (directives, error) {
	d := directives{modules: map[string]bool{}}
	root, todo := filepath.Dir(file), []string{file}
	for n := 0; len(todo) > 0 && n < maxFiles; n++ {
		next := todo[0]
		todo = todo[1:]
		text, err := os.ReadFile(next)
		if err != nil && n == 0 {
			return d, err
		}
		for line := range strings.Lines(string(text)) {
			match := directive.FindStringSubmatch(line)
			if match == nil {
				continue
			}
			value := strings.Trim(match[2], `"`)
			switch name := strings.ToLower(match[1]); name {
			case "loadmodule":
				d.modules[strings.TrimSuffix(value, "_module")] = true
			case "serverroot":
				root = value
			default:
				todo = append(todo, d.include(root, value)...)
			}
		}
	}
	return d, nil
}

// include notes a pattern and returns its files.
func (d *directives) include(root, pattern string) []string {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(root, pattern)
	}
	if slices.Contains(d.includes, pattern) {
		return nil
	}
	d.includes = append(d.includes, pattern)
	if info, err := os.Stat(pattern); err == nil && info.IsDir() {
		pattern = filepath.Join(pattern, "*")
	}
	files, _ := filepath.Glob(pattern) // a pattern that is none matches nothing
	return files
}

// reads tells whether the configuration includes the directory's *.conf.
func (d directives) reads(dir string) bool {
	probe := filepath.Join(dir, "app-probe.conf")
	return slices.ContainsFunc(d.includes, func(pattern string) bool {
		matches, err := filepath.Match(pattern, probe)
		return err == nil && matches || filepath.Clean(pattern) == filepath.Clean(dir)
	})
}
