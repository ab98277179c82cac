package review

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

const hostPlatform = runtime.GOOS + "/" + runtime.GOARCH

// variables are what ARG and ENV have set at a line.
type variables struct {
	lex    *shell.Lex
	given  map[string]string            // to the build
	global map[string]string            // ARGs above the first FROM
	args   map[string]string            // of the stage
	env    map[string]string            // of the stage
	stages map[string]map[string]string // env of each stage before, by its name
	stage  string                       // its name
	inside bool                         // of a stage
}

func newVariables(escape rune, args map[string]string) *variables {
	platform := map[string]string{
		"TARGETPLATFORM": hostPlatform, "TARGETOS": runtime.GOOS, "TARGETARCH": runtime.GOARCH,
		"BUILDPLATFORM": hostPlatform, "BUILDOS": runtime.GOOS, "BUILDARCH": runtime.GOARCH,
	}
	given := maps.Clone(platform)
	maps.Copy(given, args)
	return &variables{
		lex: shell.NewLex(escape), given: given, global: platform, env: map[string]string{}, args: map[string]string{},
		stages: map[string]map[string]string{},
	}
}

func (v *variables) leaveStage() {
	if v.inside && v.stage != "" {
		v.stages[v.stage] = v.env
	}
	v.env, v.args, v.inside = map[string]string{}, map[string]string{}, false
}

// enterStage begins a stage upon another, whose environment it has, or upon an image.
func (v *variables) enterStage(from, name string) {
	v.inside, v.stage = true, name
	maps.Copy(v.env, v.stages[from])
}

// Get and Keys are the lexer's view of them.
func (v *variables) Get(name string) (string, bool) {
	for _, scope := range []map[string]string{v.env, v.args} {
		if value, found := scope[name]; found {
			return value, true
		}
	}
	if v.inside {
		return "", false
	}
	value, found := v.global[name]
	return value, found
}

func (v *variables) Keys() []string { return nil }

// expand replaces the variables in a word. One without a value is refused: the
// engine might know it, from the image.
func (v *variables) expand(word string) (string, error) {
	result, err := v.lex.ProcessWordWithMatches(word, v)
	if err != nil {
		return "", refused(err.Error(), "correct it")
	}
	for name := range result.Unmatched {
		if regexp.MustCompile(`\$\{` + regexp.QuoteMeta(name) + `:?[-+]`).MatchString(word) {
			continue // it says what to take then
		}
		return "", refused(fmt.Sprintf("$%s has no value here", Printable(name, 80)), fmt.Sprintf(`declare it with "ARG %s=…" above, or write out what it means`, Printable(name, 80)))
	}
	return result.Result, nil
}

// set notes what an ARG or ENV sets.
func (v *variables) set(node *parser.Node) {
	switch node.Value {
	case "arg":
		for _, word := range values(node) {
			v.declare(word)
		}
	case "env":
		words := values(node)
		for i := 0; i+1 < len(words); i += 2 {
			delete(v.env, words[i])
			if value, err := v.expand(words[i+1]); err == nil {
				v.env[words[i]] = value
			}
		}
	}
}

// declare is ARG NAME or ARG NAME=DEFAULT.
func (v *variables) declare(word string) {
	name, fallback, hasDefault := strings.Cut(word, "=")
	scope := v.args
	if !v.inside {
		scope = v.global
	}
	value, found := v.given[name]
	if !found && hasDefault {
		expanded, err := v.expand(fallback)
		value, found = expanded, err == nil
	}
	if !found && v.inside {
		value, found = v.global[name]
	}
	if found {
		scope[name] = value
	}
}
