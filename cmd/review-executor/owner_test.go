package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOwner_RootLeavesNothingThatTheStatesOwnerCannotUse has a state of another user's.
func TestOwner_RootLeavesNothingThatTheStatesOwnerCannotUse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can do that harm")
	}
	state := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), host.Dir+"/state", state, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"front"}, {"sync"}, {"stop", "login"}, {"pin", "login"}, {"prune"}} {
		runProgram(t, append([]string{"--config", config}, command...)...).failed(t, "belongs to nobody", "nothing was changed", "sudo -u nobody")
	}
	runProgram(t, "--config", config, "list").succeeded(t)
	left, err := os.ReadDir(state)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
