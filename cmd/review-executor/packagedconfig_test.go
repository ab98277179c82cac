package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// uncommented finds settings behind a "#".
var uncommented = regexp.MustCompile(`(?m)^#([a-z_\[])`)

// TestPackagedConfiguration_IsThatOfAHostWithUnits reads the file that packages
// install, and then with what is commented out in it.
func TestPackagedConfiguration_IsThatOfAHostWithUnits(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(hosttest.Root(), "packaging", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	settings := defaultSettings()
	if err := decodeSettings(text, &settings); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(hosttest.Root(), "packaging", "systemd", settings.Apache.FrontUnit)
	if _, err := os.Stat(unit); err != nil || settings.Apache.FrontUnit == "" {
		t.Errorf("there is no unit %q: %v", settings.Apache.FrontUnit, err)
	}
	if settings.Supervisor != "systemd" || settings.Apache.VhostDir != "/var/lib/review-front/vhosts" {
		t.Errorf("it has supervisor %q and virtual hosts in %s", settings.Supervisor, settings.Apache.VhostDir)
	}
	all := defaultSettings()
	if err := decodeSettings(uncommented.ReplaceAll(text, []byte("$1")), &all); err != nil {
		t.Errorf("with what is commented out: %v", err)
	}
	if all.GitLab.TokenFile == "" || all.Apache.TLSKey == "" || all.Webhook.SecretFile == "" {
		t.Errorf("with what is commented out there is no token, key or secret: %+v", all)
	}
}
