package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// TestDocs_SecurityNamesTestsThatExist looks for every test that docs/security.md
// names, and for every test of a hostile job there.
func TestDocs_SecurityNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(hosttest.Root(), "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(page), -1) {
		named[name] = true
	}
	if len(named) == 0 {
		t.Fatal("it names no test")
	}
	defined := testNames(t)
	for name := range named {
		if !defined[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for name := range defined {
		if strings.HasPrefix(name, "TestHostile_") && !named[name] {
			t.Errorf("%s is not named", name)
		}
	}
	for i, line := range strings.Split(string(page), "\n") {
		if n := len([]rune(line)); n > 140 {
			t.Errorf("line %d has %d characters, more than 140", i+1, n)
		}
	}
}

// testNames are all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(hosttest.Root(), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		for _, match := range function.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
