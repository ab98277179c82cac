package review

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// containerfile is a project's Containerfile as the engine gets it: written anew
// from what our parser has understood, one line for each instruction, every
// variable that decides what is fetched or mounted replaced by its value. So it
// does not matter where the engine's parser, of whatever version, differs from
// ours: it finds nothing that was not looked at here.
//
// The parser is buildah's own.
type containerfile struct {
	escape rune
	lines  []line
	stages []string // their names; "": without one
	// heredocs tells that it has here-documents. An engine that does not know
	// them would take their lines for instructions.
	heredocs bool
}

// line is one instruction, and the lines of its here-documents.
type line struct {
	parts   []part
	below   string
	labelOf bool // a stage begins here upon an image: the project's label follows
}

// part is a piece of a line: text, an image to put the ID of, or the project's number.
type part struct {
	text    string
	image   string
	project bool
}

// maxContainerfile is the size of a Containerfile that is read.
const maxContainerfile = 1 << 20

// parseContainerfile reads a Containerfile. args are the values of ARGs that the
// build gets. An error is a Failure of the kind Build.
func parseContainerfile(text []byte, args map[string]string) (*containerfile, error) {
	if bytes.ContainsRune(text, 0) {
		return nil, refused("it holds a NUL byte", "make it a text file")
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, &Failure{Kind: Build, What: "the Containerfile cannot be read", Cause: err, Hint: "correct it"}
	}
	r := reader{
		file: &containerfile{escape: parsed.EscapeToken},
		vars: newVariables(parsed.EscapeToken, args),
	}
	for _, node := range parsed.AST.Children {
		if err := r.read(node); err != nil {
			return nil, at(node, err)
		}
	}
	if len(r.file.stages) == 0 {
		return nil, refused("it has no FROM", `begin it with "FROM" and the image to build upon`)
	}
	return r.file, nil
}

// images are those that it names, each once, in order: no stages.
func (c *containerfile) images() []string {
	var names []string
	for _, l := range c.lines {
		for _, p := range l.parts {
			if p.image != "" && !slices.Contains(names, p.image) {
				names = append(names, p.image)
			}
		}
	}
	return names
}

// basis tells whether a stage is built upon the image.
func (c *containerfile) basis(name string) bool {
	return slices.ContainsFunc(c.lines, func(l line) bool {
		return l.labelOf && slices.ContainsFunc(l.parts, func(p part) bool { return p.image == name })
	})
}

// render writes it for one project. ids holds the ID of each image by name.
func (c *containerfile) render(ids map[string]string, projectID int64) []byte {
	var b bytes.Buffer
	project := strconv.FormatInt(projectID, 10)
	if c.escape != parser.DefaultEscapeToken {
		fmt.Fprintf(&b, "# escape=%c\n", c.escape)
	}
	for _, l := range c.lines {
		for _, p := range l.parts {
			b.WriteString(p.text + ids[p.image])
			if p.project {
				b.WriteString(project)
			}
		}
		b.WriteString("\n" + l.below)
		if l.labelOf {
			// It is part of every later layer's history, so a project finds in
			// the cache only what was built for it.
			fmt.Fprintf(&b, "LABEL %s=%s\n", LabelProjectID, project)
		}
	}
	return b.Bytes()
}

// refused is what is wrong with a line, until at says which.
func refused(what, hint string) error {
	return &Failure{Kind: Build, What: "the Containerfile cannot be built", Cause: errors.New(what), Hint: hint}
}

func refusedFlag(flag string) error {
	return refused(fmt.Sprintf("%s is not possible on this host", Printable(flag, 200)), "remove it")
}

// at puts the line and its number into a failure.
func at(node *parser.Node, err error) error {
	f := *AsFailure(err)
	f.Lines = append([]string{fmt.Sprintf("line %d: %s", node.StartLine, Printable(strings.TrimSpace(node.Original), 200))}, f.Lines...)
	return &f
}
