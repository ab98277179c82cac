package apache

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// gateScript remembers right passwords, for mod_lua.
//
//go:embed gate.lua
var gateScript []byte

// script is where Apache reads the script.
func (c Config) script() string { return filepath.Join(c.VhostDir, "gate.lua") }

// scriptDiffers tells whether the script is to be written.
func (f *Front) scriptDiffers() bool {
	present, err := os.ReadFile(f.cfg.script())
	return err != nil || !bytes.Equal(present, gateScript)
}

// writeScript makes the script readable by Apache's own user, whatever our umask.
func (f *Front) writeScript() error {
	if err := renameio.WriteFile(f.cfg.script(), gateScript, 0o644, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write the gate's script: %w", err)
	}
	return nil
}

// remembersPasswords tells whether Apache can have the script: a script that its own
// user cannot read would be an error of every request.
func (c Config) remembersPasswords() bool {
	if c.Login != LoginPassword {
		return false
	}
	for dir := c.VhostDir; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}
