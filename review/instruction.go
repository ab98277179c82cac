package review

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/parser"
)

var (
	stageName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,127}$`)
	plainWord   = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,*?~^\[\]{}-]*$`) // means itself to every parser
	plainFlag   = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,*?~^${}\[\]!-]*$`)
	heredocName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// instructions that need no look: they describe the image, or a step's environment.
var harmless = []string{
	"arg", "cmd", "entrypoint", "env", "expose", "healthcheck", "label", "maintainer", "shell", "stopsignal", "user", "volume", "workdir",
}

// reader reads one instruction after the other.
type reader struct {
	file *containerfile
	vars *variables
}

func (r *reader) read(node *parser.Node) (err error) {
	var l line
	switch {
	case node.Value == "from":
		l, err = r.from(node)
	case len(r.file.stages) == 0 && node.Value != "arg":
		err = refused("it comes before the first FROM", "move it below")
	case node.Value == "run":
		l, err = r.run(node)
	case node.Value == "copy" || node.Value == "add":
		l, err = r.copy(node)
	case node.Value == "onbuild":
		l, err = r.onbuild(node)
	case slices.Contains(harmless, node.Value):
		r.vars.set(node)
		l = text(strings.TrimSpace(node.Original))
	default:
		err = refused("there is no such instruction", "correct it")
	}
	if err == nil {
		l.below, err = r.heredocs(node)
	}
	if err == nil {
		err = r.ends(l)
	}
	r.file.lines = append(r.file.lines, l)
	return err
}

func text(s string) line { return line{parts: []part{{text: s}}} }

// from reads FROM [--platform=P] IMAGE [AS NAME].
func (r *reader) from(node *parser.Node) (line, error) {
	r.vars.leaveStage()
	var words []string
	for _, word := range values(node) {
		value, err := r.vars.expand(word)
		if err != nil {
			return line{}, err
		}
		words = append(words, value)
	}
	name := ""
	switch {
	case len(words) == 3 && strings.EqualFold(words[1], "as"):
		name = words[2]
	case len(words) != 1:
		return line{}, refused("it needs an image, and may have a name: FROM image AS name", "correct it")
	}
	if words[0] == "" {
		return line{}, refused("the name of its image is empty", "give the ARG in it a value")
	}
	l := text("FROM ")
	platform, err := r.platform(node.Flags)
	if err != nil {
		return line{}, err
	}
	l.parts[0].text += platform
	from := r.base(words[0])
	l.parts = append(l.parts, from)
	l.labelOf = from.image != "" || from.text == "scratch"
	if err := r.nameStage(name); err != nil {
		return line{}, err
	}
	if name != "" {
		l.parts = append(l.parts, part{text: " AS " + name})
	}
	r.vars.enterStage(from.text, name)
	return l, nil
}

// platform reads the flags of FROM. Images are pulled for the host's own.
func (r *reader) platform(flags []string) (string, error) {
	if len(flags) == 0 {
		return "", nil
	}
	value, found := strings.CutPrefix(flags[0], "--platform=")
	if len(flags) > 1 || !found {
		return "", refused("FROM knows no flag but one --platform", "remove it")
	}
	value, err := r.vars.expand(value)
	if err != nil {
		return "", err
	}
	if value != hostPlatform && !strings.HasPrefix(value, hostPlatform+"/") {
		return "", refused(fmt.Sprintf("it is for platform %s, and this host is %s", Printable(value, 80), hostPlatform), "build for the platform that the review app runs on")
	}
	if !plainWord.MatchString(value) {
		return "", refused("its platform is none", "correct it")
	}
	return "--platform=" + value + " ", nil
}

func (r *reader) nameStage(name string) error {
	if name != "" {
		if !stageName.MatchString(name) || slices.Contains([]string{"scratch", "context"}, strings.ToLower(name)) {
			return refused(fmt.Sprintf("a stage cannot be called %s", Printable(name, 80)), "use letters, digits, _, . and -, beginning with a letter")
		}
		if r.stage(name) != "" {
			return refused(fmt.Sprintf("there are two stages called %s", name), "rename one of them")
		}
	}
	r.file.stages = append(r.file.stages, name)
	return nil
}

// stage is the stage before this line that the name means, as it is spelt there.
func (r *reader) stage(name string) string {
	for _, stage := range r.file.stages {
		if stage != "" && strings.EqualFold(stage, name) {
			return stage
		}
	}
	return ""
}

// base is what FROM means by a name: a stage, nothing, or an image.
func (r *reader) base(name string) part {
	if stage := r.stage(name); stage != "" {
		return part{text: stage}
	}
	if name == "scratch" {
		return part{text: name}
	}
	return part{image: name}
}

// source is what COPY --from and RUN --mount=from mean: a stage other than the
// one they are in, by its name or its number, or an image.
func (r *reader) source(name string) (part, error) {
	current := len(r.file.stages) - 1
	if n, err := strconv.Atoi(name); err == nil {
		if n < 0 || n >= current {
			return part{}, refused(fmt.Sprintf("there is no stage %d before this one", n), "stages are counted from 0")
		}
		return part{text: strconv.Itoa(n)}, nil
	}
	if stage := r.stage(name); stage != "" && stage != r.file.stages[current] {
		return part{text: stage}, nil
	}
	if name == "" {
		return part{}, refused("its from= names nothing", "name a stage or an image")
	}
	return part{image: name}, nil
}

// copy reads COPY and ADD.
func (r *reader) copy(node *parser.Node) (line, error) {
	l := text(strings.ToUpper(node.Value))
	seen := map[string]bool{}
	for _, flag := range node.Flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		repeats := name == "exclude"
		if !slices.Contains([]string{"from", "chown", "chmod", "link", "parents", "exclude", "checksum"}, name) || !plainFlag.MatchString(flag) || (seen[name] && !repeats) {
			return line{}, refusedFlag(flag)
		}
		seen[name] = true
		if name != "from" || node.Value == "add" {
			l.parts = append(l.parts, part{text: " " + flag})
			continue
		}
		from, err := r.expandedSource(value)
		if err != nil {
			return line{}, err
		}
		l.parts = append(l.parts, part{text: " --from="}, from)
	}
	words := values(node)
	if len(words) < 2 {
		return line{}, refused("it needs what to copy and where to", "correct it")
	}
	if strings.HasPrefix(words[0], "--") {
		return line{}, refusedFlag(words[0])
	}
	if node.Value == "add" {
		if err := r.localSources(node, words[:len(words)-1]); err != nil {
			return line{}, err
		}
	}
	l.parts = append(l.parts, part{text: " " + arguments(node, words)})
	return l, nil
}

// localSources replaces the sources of an ADD by what they mean, and refuses what
// the engine would fetch itself, from the host's own network.
func (r *reader) localSources(node *parser.Node, sources []string) error {
	for i, source := range sources {
		value, err := r.vars.expand(source)
		if err != nil {
			return err
		}
		if strings.Contains(value, "://") || strings.HasPrefix(value, "git@") {
			return refused(fmt.Sprintf("it fetches %s from the host's own network", Printable(value, 200)), `use "RUN curl -O" or "RUN git clone": a RUN has a network of the build's own`)
		}
		if value == "" || !plainWord.MatchString(value) || len(node.Heredocs) > 0 {
			return refused("its sources are no plain names", "use COPY")
		}
		sources[i] = value
	}
	return nil
}

func (r *reader) expandedSource(value string) (part, error) {
	name, err := r.vars.expand(value)
	if err != nil {
		return part{}, err
	}
	return r.source(name)
}

// run reads RUN.
func (r *reader) run(node *parser.Node) (line, error) {
	l := text("RUN")
	for _, flag := range node.Flags {
		value, mounts := strings.CutPrefix(flag, "--mount=")
		if !mounts {
			// "host" would be the host's network, with every app on its loopback.
			if flag != "--network=none" && flag != "--network=default" {
				return line{}, refusedFlag(flag)
			}
			l.parts = append(l.parts, part{text: " " + flag})
			continue
		}
		mount, err := r.mount(value)
		if err != nil {
			return line{}, err
		}
		l.parts = append(append(l.parts, part{text: " --mount="}), mount...)
	}
	words := values(node)
	if len(words) == 0 {
		return line{}, refused("it runs nothing", "correct it")
	}
	if strings.HasPrefix(words[0], "--") && !node.Attributes["json"] {
		return line{}, refusedFlag(words[0])
	}
	l.parts = append(l.parts, part{text: " " + arguments(node, words)})
	return l, nil
}

// onbuild reads a trigger for the builds upon this image. It is run without being
// read again, so it may be nothing that would have to be changed.
func (r *reader) onbuild(node *parser.Node) (line, error) {
	if node.Next == nil || len(node.Next.Children) != 1 {
		return line{}, refused("it names no instruction", "correct it")
	}
	trigger := node.Next.Children[0]
	if err := checkTrigger(trigger); err != nil {
		return line{}, err
	}
	words := []string{"ONBUILD", strings.ToUpper(trigger.Value)}
	words = append(words, trigger.Flags...)
	switch trigger.Value {
	case "copy", "run":
		return text(strings.Join(append(words, arguments(trigger, values(trigger))), " ")), nil
	default:
		return text("ONBUILD " + strings.TrimSpace(trigger.Original)), nil
	}
}

// checkTrigger refuses an instruction of ONBUILD that names an image, mounts,
// fetches, or hides that it does.
func checkTrigger(node *parser.Node) error {
	const hint = "write it into the Containerfile that is built upon this image"
	switch {
	case len(node.Heredocs) > 0:
		return refused("ONBUILD has a here-document", hint)
	case node.Value == "copy" || node.Value == "run":
		for _, flag := range node.Flags {
			if node.Value == "run" || !strings.HasPrefix(flag, "--chown=") && !strings.HasPrefix(flag, "--chmod=") || !plainWord.MatchString(flag) {
				return refused(fmt.Sprintf("ONBUILD %s %s cannot be checked", strings.ToUpper(node.Value), Printable(flag, 80)), hint)
			}
		}
		if words := values(node); len(words) == 0 || strings.HasPrefix(words[0], "--") {
			return refused("ONBUILD has an unknown flag", hint)
		}
		return nil
	case slices.Contains(harmless, node.Value):
		return nil
	default:
		return refused(fmt.Sprintf("ONBUILD %s cannot be checked", Printable(strings.ToUpper(node.Value), 80)), hint)
	}
}

// heredocs writes the here-documents of an instruction, whose line must say
// plainly that it has them.
func (r *reader) heredocs(node *parser.Node) (string, error) {
	if len(node.Heredocs) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, doc := range node.Heredocs {
		if !heredocName.MatchString(doc.Name) {
			return "", refused(fmt.Sprintf("a here-document cannot end with %s", Printable(doc.Name, 80)), "use a word such as EOF")
		}
		b.WriteString(strings.TrimPrefix(doc.Content, "\n"))
		if doc.Content != "" {
			b.WriteString("\n")
		}
		b.WriteString(doc.Name + "\n")
	}
	if strings.Count(node.Original, "<<") != len(node.Heredocs) || r.file.escape != parser.DefaultEscapeToken {
		return "", refused("it cannot be told where its here-documents begin", `have no other "<<" in the line, and no "# escape="`)
	}
	r.file.heredocs = true
	return b.String(), nil
}

// ends refuses a line that the engine would join with the next one.
func (r *reader) ends(l line) error {
	last := l.parts[len(l.parts)-1].text
	if strings.HasSuffix(strings.TrimRight(last, " \t"), string(r.file.escape)) {
		return refused("it ends in the middle of a line", "write what follows, or remove the escape character at its end")
	}
	return nil
}

// arguments are the words of an instruction as they were: a JSON array, or text.
func arguments(node *parser.Node, words []string) string {
	if node.Attributes["json"] {
		array, _ := json.Marshal(words) // of strings
		return string(array)
	}
	return strings.Join(words, " ")
}

func values(node *parser.Node) []string {
	var words []string
	for next := node.Next; next != nil; next = next.Next {
		words = append(words, next.Value)
	}
	return words
}
