package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// file is one that is to be there: what it is made of, and how. The same source
// always makes the same content, as long as the program is the same.
type file struct {
	source []byte
	render func() ([]byte, error)
}

// made remembers, in a file beside the pages, which source each was made of: a
// write for one app need not render those of all others, nor read them.
type made map[string]string

const madeFile = "made.json"

// update brings the files, by their path under dir, to their sources. What cannot
// be written keeps no other from being written.
func (p *Pages) update(files map[string]file) error {
	there := map[string]bool{}
	for _, sub := range []string{"", "index", "state"} {
		if err := makeDir(filepath.Join(p.dir, sub)); err != nil {
			return err
		}
		if err := addRegularFiles(there, p.dir, sub); err != nil {
			return err
		}
	}
	before := p.loadMade(there)
	now := make(made, len(files))
	salt := p.salt()
	var problems []error
	for name, f := range files {
		print := fingerprint(salt, f.source)
		if !there[name] || before[name] != print {
			if err := p.bring(name, f, there[name]); err != nil {
				problems = append(problems, err)
				continue
			}
		}
		now[name] = print
	}
	if !maps.Equal(before, now) {
		problems = append(problems, p.saveMade(now))
	}
	return errors.Join(append(problems, p.removeStates(there, files))...)
}

// bring renders the file, and writes it if it is not like that already.
func (p *Pages) bring(name string, f file, there bool) error {
	content, err := f.render()
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	path := filepath.Join(p.dir, name)
	if there && holds(path, content) {
		return nil
	}
	if err := replace(path, content); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// salt is what all files depend on: the program and its settings.
func (p *Pages) salt() string {
	info, err := os.Stat("/proc/self/exe")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d %q %q", info.Size(), info.ModTime().UnixNano(), p.domain, p.Index)
}

func fingerprint(salt string, source []byte) string {
	sum := sha256.New()
	sum.Write([]byte(salt))
	sum.Write(source)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// loadMade is empty if it cannot be read: then all is rendered and compared.
func (p *Pages) loadMade(there map[string]bool) made {
	m := made{}
	if !there[madeFile] || p.salt() == "" {
		return m
	}
	data, err := os.ReadFile(filepath.Join(p.dir, madeFile))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return made{}
	}
	return m
}

func (p *Pages) saveMade(m made) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replace(filepath.Join(p.dir, madeFile), append(data, '\n'))
}
