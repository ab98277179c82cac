package main

import (
	"runtime/debug"
	"testing"
)

func TestVersion_IsTheLinkedElseTheModulesElseDevel(t *testing.T) {
	for _, c := range []struct{ linked, module, want string }{
		{"1.2.3", "v9.9.9", "1.2.3"},
		{"0.0~git20260131.3f2c1a9", "", "0.0~git20260131.3f2c1a9"},
		{"", "v1.2.3", "1.2.3"},
		{"", "v0.0.0-20260131101112-3f2c1a9b8d7e+dirty", "0.0.0-20260131101112-3f2c1a9b8d7e+dirty"},
		{"", "(devel)", "devel"},
		{"", "", "devel"},
	} {
		build := func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{Main: debug.Module{Version: c.module}}, true
		}
		if got := versionOf(c.linked, build); got != c.want {
			t.Errorf("versionOf(%q, %q) is %q, want %q", c.linked, c.module, got, c.want)
		}
	}
	if got := versionOf("", func() (*debug.BuildInfo, bool) { return nil, false }); got != "devel" {
		t.Errorf("without build information it is %q", got)
	}
}
