package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
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
	root, err := openRoot(p.dir, "index", "state")
	if err != nil {
		return err
	}
	defer root.Close()
	there, err := regularFiles(root, ".", "index", "state")
	if err != nil {
		return err
	}
	salt := p.salt()
	before, now := loadMade(root, there), make(made, len(files))
	var problems []error
	for name, f := range files {
		mark := fingerprint(salt, f.source)
		if salt == "" || !there[name] || before[name] != mark {
			if err := bring(root, name, f, there[name]); err != nil {
				problems = append(problems, err)
				continue
			}
		}
		now[name] = mark
	}
	if !maps.Equal(before, now) {
		problems = append(problems, now.save(root))
	}
	return errors.Join(append(problems, p.removeStates(root, there, files))...)
}

// bring renders the file, and writes it if it is not like that already.
func bring(root *os.Root, name string, f file, there bool) error {
	content, err := f.render()
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	if there && holds(root, name, content) {
		return nil
	}
	return replace(root, name, content)
}

// salt is what all files depend on: the program and its settings; "": the program
// cannot be told from another, so all is rendered and compared.
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
func loadMade(root *os.Root, there map[string]bool) made {
	m := made{}
	if !there[madeFile] {
		return m
	}
	data, err := root.ReadFile(madeFile)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return made{}
	}
	return m
}

func (m made) save(root *os.Root) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replace(root, madeFile, append(data, '\n'))
}
