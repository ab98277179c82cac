package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// unitHost is a configuration with a front's unit, of a state and virtual hosts that
// belong to two other users.
func unitHost(t *testing.T) (config, state, vhosts string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
	dir, err := os.MkdirTemp("/var/lib", "review-unit.") // nobody else can write above it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state, vhosts, config = filepath.Join(dir, "state"), filepath.Join(dir, "vhosts"), filepath.Join(dir, "config.toml")
	for path, user := range map[string]int{state: 65534, vhosts: 65533} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		give(t, path, user)
	}
	text := fmt.Sprintf("domain = \"review.localhost\"\nstate_dir = %q\n[apache]\nvhost_dir = %q\nfront_unit = \"review-executor-test-front.service\"\n", state, vhosts)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return config, state, vhosts
}

func give(t *testing.T, path string, user int) {
	t.Helper()
	if err := os.Chown(path, user, user); err != nil {
		t.Fatal(err)
	}
}

// TestFront_UnitIsAskedAndNothingIsWritten is on a machine without that unit.
func TestFront_UnitIsAskedAndNothingIsWritten(t *testing.T) {
	config, state, vhosts := unitHost(t)
	runProgram(t, "--config", config, "front").failed(t, "review-executor-test-front.service, could not be started", "not your branch")
	for _, dir := range []string{state, vhosts} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left %v in %s, %v", left, dir, err)
		}
	}
}

func TestFront_UnitWorksForNobodyWhoMustNotCommandIt(t *testing.T) {
	config, _, vhosts := unitHost(t)
	runProgram(t, "--config", config, "front", "--here").failed(t, "Apache's virtual hosts", "nothing was changed") // they are neither root's
	for name, harm := range map[string]func(){
		"the configuration is the runner's":  func() { give(t, config, 65534) },
		"its directory is the runner's":      func() { give(t, filepath.Dir(config), 65534) },
		"the virtual hosts are the runner's": func() { give(t, vhosts, 65534) },
	} {
		t.Run(name, func(t *testing.T) {
			harm()
			runProgram(t, "--config", config, "front", "--here").failed(t, "cannot be trusted to this unit", "belongs to the user whose the state is", "nothing was changed")
			give(t, config, 0)
			give(t, filepath.Dir(config), 0)
			give(t, vhosts, 65533)
		})
	}
	for mode, says := range map[os.FileMode]string{0o666: "is everybody's to write", 0o664: "is its group's to write"} {
		if err := errors.Join(os.Chown(config, 0, 65532), os.Chmod(config, mode)); err != nil {
			t.Fatal(err)
		}
		runProgram(t, "--config", config, "front", "--here").failed(t, "cannot be trusted to this unit", says, "nothing was changed")
	}
	if err := errors.Join(os.Chown(config, 0, 0), os.Chmod(config, 0o664)); err != nil { // root's own group may
		t.Fatal(err)
	}
	runProgram(t, "--config", config, "front", "--here").failed(t, "Apache's virtual hosts", "nothing was changed")
}

func TestSettings_VirtualHostsOfAUnitAreNotInTheState(t *testing.T) {
	settings := defaultSettings()
	err := decodeSettings([]byte("domain = \"review.example.org\"\n[apache]\nfront_unit = \"front.service\"\n"), &settings)
	if err == nil || err.Error() != `apache.vhost_dir: /var/lib/review-executor/vhosts is in state_dir, /var/lib/review-executor; with apache.front_unit it must be elsewhere, in a directory of the unit's user` {
		t.Errorf("got %v", err)
	}
	settings = defaultSettings()
	if err := decodeSettings([]byte("domain = \"review.example.org\"\n[apache]\nvhost_dir = \"/var/lib/review-front/vhosts\"\nfront_unit = \"front.service\"\n"), &settings); err != nil {
		t.Error(err)
	}
}
