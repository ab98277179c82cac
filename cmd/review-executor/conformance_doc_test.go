package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// TestDocs_ProtocolNamesItsTests compares docs/protocol.md with the tests there are.
func TestDocs_ProtocolNamesItsTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(hosttest.Root(), "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(match[1])] = true
		}
	}
	named := map[string]bool{}
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, match := range regexp.MustCompile("`([A-Z]\\w+)`").FindAllStringSubmatch(cells[3], -1) {
			name := match[1]
			if !strings.HasPrefix(name, "Test") {
				name = "TestConformance_" + name
			}
			if named[name] = true; !there[name] {
				t.Errorf("the page names %s, which is no test", name)
			}
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "TestConformance_") && !named[name] {
			t.Errorf("the page does not name %s", name)
		}
	}
}
