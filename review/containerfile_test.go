package review

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// render is the Containerfile for project 7, with the ID <NAME> for every image.
func render(t testing.TB, text string, args map[string]string) string {
	t.Helper()
	c, err := parseContainerfile([]byte(text), args)
	if err != nil {
		t.Fatalf("%s\n%s", text, AsFailure(err).Text())
	}
	return string(c.render(idsOf(c), 7))
}

func idsOf(c *containerfile) map[string]string {
	ids := map[string]string{}
	for _, name := range c.images() {
		ids[name] = "<" + name + ">"
	}
	return ids
}

func TestContainerfile_ImagesBecomeIDs(t *testing.T) {
	const label = "LABEL review-executor.project-id=7\n"
	for name, c := range map[string]struct {
		text string
		args map[string]string
		want string
	}{
		"plain":             {"from alpine:3\nRUN true\n", nil, "FROM <alpine:3>\n" + label + "RUN true\n"},
		"scratch":           {"FROM scratch\nCOPY . /\n", nil, "FROM scratch\n" + label + "COPY . /\n"},
		"any transport":     {"FROM dir:/etc\n", nil, "FROM <dir:/etc>\n" + label},
		"a stage":           {"FROM a AS Build\nFROM build\nFROM a\nCOPY --from=BUILD /x /y\n", nil, "FROM <a> AS Build\n" + label + "FROM Build\nFROM <a>\n" + label + "COPY --from=Build /x /y\n"},
		"a stage's number":  {"FROM a\nFROM b\nCOPY --from=0 x y\n", nil, "FROM <a>\n" + label + "FROM <b>\n" + label + "COPY --from=0 x y\n"},
		"its own name":      {"FROM alpine AS alpine\nCOPY --from=alpine x y\n", nil, "FROM <alpine> AS alpine\n" + label + "COPY --from=<alpine> x y\n"},
		"a later stage":     {"FROM a\nCOPY --from=b x y\nFROM c AS b\n", nil, "FROM <a>\n" + label + "COPY --from=<b> x y\nFROM <c> AS b\n" + label},
		"a global ARG":      {"ARG V=3\nARG I=alpine:$V\nFROM ${I}\n", nil, "ARG V=3\nARG I=alpine:$V\nFROM <alpine:3>\n" + label},
		"a given ARG":       {"ARG V=3\nFROM alpine:$V\n", map[string]string{"V": "4"}, "ARG V=3\nFROM <alpine:4>\n" + label},
		"a fallback":        {"ARG V\nFROM alpine:${V:-3}\n", nil, "ARG V\nFROM <alpine:3>\n" + label},
		"the architecture":  {"FROM --platform=$BUILDPLATFORM alpine\n", nil, "FROM --platform=" + hostPlatform + " <alpine>\n" + label},
		"an ARG of a stage": {"ARG I=x\nFROM a\nARG I\nCOPY --from=$I x y\n", nil, "ARG I=x\nFROM <a>\n" + label + "ARG I\nCOPY --from=<x> x y\n"},
		"ENV of a stage":    {"FROM a AS one\nENV I=x\nFROM one\nCOPY --from=$I x y\n", nil, "FROM <a> AS one\n" + label + "ENV I=x\nFROM one\nCOPY --from=<x> x y\n"},
		"quotes":            {"FROM \"a\"\nCOPY --fr\"om\"=b x y\n", nil, "FROM <a>\n" + label + "COPY --from=<b> x y\n"},
		"flags":             {"FROM a\nCOPY --chown=$UID:1 --chmod=644 --link --from=b x y\n", nil, "FROM <a>\n" + label + "COPY --chown=$UID:1 --chmod=644 --link --from=<b> x y\n"},
		"JSON":              {"FROM a\nCOPY [\"x y\", \"/z\"] more\nRUN [\"a\", \"<\"]\n", nil, "FROM <a>\n" + label + `COPY ["x y","/z"]` + "\n" + `RUN ["a","\u003c"]` + "\n"},
		"continued":         {"FROM \\\n  # not here\n\n  a\nRUN one \\\n && two\n", nil, "FROM <a>\n" + label + "RUN one  && two\n"},
		"another escape":    {"# escape=`\nFROM `\na\nRUN a \\\nRUN b\n", nil, "# escape=`\nFROM <a>\n" + label + "RUN a \\\nRUN b\n"},
		"a syntax":          {"# syntax=docker/dockerfile:1\nFROM a\n", nil, "FROM <a>\n" + label},
		"a here-document":   {"FROM a\nRUN <<EOF\nFROM b\nEOF\nRUN c\n", nil, "FROM <a>\n" + label + "RUN <<EOF\nFROM b\nEOF\nRUN c\n"},
		"ADD":               {"FROM a\nARG N=x\nADD $N.tar *.txt /$N\n", nil, "FROM <a>\n" + label + "ARG N=x\nADD x.tar *.txt /$N\n"},
		"a trigger":         {"FROM a\nONBUILD COPY --chown=1 x y\nONBUILD CMD [\"x\"]\n", nil, "FROM <a>\n" + label + "ONBUILD COPY --chown=1 x y\nONBUILD CMD [\"x\"]\n"},
		"a mount":           {"FROM a AS one\nFROM b\nRUN --mount=from=one,target=/x --mount=type=bind,from=c,target=/y true\n", nil, "FROM <a> AS one\n" + label + "FROM <b>\n" + label + "RUN --mount=type=bind,from=one,target=/x --mount=type=bind,from=<c>,target=/y true\n"},
		"no network":        {"FROM a\nRUN --network=none true\n", nil, "FROM <a>\n" + label + "RUN --network=none true\n"},
	} {
		if diff := cmp.Diff(c.want, render(t, c.text, c.args)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestContainerfile_EveryImageOnce(t *testing.T) {
	c, err := parseContainerfile([]byte("FROM a AS x\nFROM b\nCOPY --from=a x y\nCOPY --from=x x y\nRUN --mount=from=c,target=/x true\nFROM scratch\nFROM a\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, c.images()); diff != "" {
		t.Error(diff)
	}
}

func TestContainerfile_CachesAreTheProjects(t *testing.T) {
	for option, want := range map[string]string{
		"target=/root/.npm":                         "type=cache,target=/root/.npm,id=7-root--npm-5c0e7d5ae6ab92c7",
		"id=npm,target=/x":                          "type=cache,target=/x,id=7-npm",
		"target=/x,sharing=locked,id=8-npm":         "type=cache,target=/x,sharing=locked,id=7-8-npm",
		"id=../../../etc,target=/x":                 "type=cache,target=/x,id=7-etc-",
		"id=" + strings.Repeat("x", 90) + ",dst=/x": "type=cache,dst=/x,id=7-" + strings.Repeat("x", 40) + "-",
	} {
		got := render(t, "FROM a\nRUN --mount=type=cache,"+option+" true\n", nil)
		if option != "target=/root/.npm" && !strings.Contains(got, "--mount="+want) || !regexp.MustCompile(`,id=7-[A-Za-z0-9_-]+ true\n$`).MatchString(got) {
			t.Errorf("%s becomes\n%s, want %s", option, got, want)
		}
	}
	one, other := render(t, "FROM a\nRUN --mount=type=cache,target=/a/b true\n", nil), render(t, "FROM a\nRUN --mount=type=cache,target=/a-b true\n", nil)
	_, one, _ = strings.Cut(one, ",id=")
	if _, other, _ = strings.Cut(other, ",id="); one == other {
		t.Errorf("two caches have one ID: %s", one)
	}
}

func TestContainerfile_RefusesWhatItCannotCheck(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                      {"", "it has no FROM"},
		"a comment":                    {"# FROM a\n", "it has no FROM"},
		"only ARG":                     {"ARG a\n", "it has no FROM"},
		"an early RUN":                 {"RUN a\nFROM b\n", "before the first FROM"},
		"an unknown instruction":       {"FROM a\nINCLUDE /etc/passwd\n", "no such instruction"},
		"a NUL":                        {"FROM a\x00b\n", "NUL"},
		"no image":                     {"FROM\n", "needs an image"},
		"an empty image":               {"ARG I=\nFROM $I\n", "is empty"},
		"an unset image":               {"FROM $I\n", "$I has no value"},
		"an image of the environment":  {"FROM a\nCOPY --from=$I x y\n", "$I has no value"},
		"a flag by a variable":         {"FROM a\nCOPY --$F=x x y\n", "not possible"},
		"a broken variable":            {"FROM ${I\n", "correct it"},
		"an odd stage":                 {"FROM a AS b/c\n", "cannot be called"},
		"a stage called scratch":       {"FROM a AS Scratch\n", "cannot be called"},
		"a stage like a number":        {"FROM a AS 1\n", "cannot be called"},
		"two stages of a name":         {"FROM a AS b\nFROM a AS B\n", "two stages called B"},
		"another platform":             {"FROM --platform=linux/s390x a\n", "linux/s390x"},
		"a flag of FROM":               {"FROM --x=y a\n", "--platform"},
		"its own number":               {"FROM a\nCOPY --from=0 x y\n", "no stage 0"},
		"a later number":               {"FROM a\nCOPY --from=1 x y\nFROM b\n", "no stage 1"},
		"ADD of a URL":                 {"FROM a\nADD http://127.0.0.1/x /\n", "RUN curl"},
		"ADD of a URL in JSON":         {"FROM a\nADD [\"https://127.0.0.1/x\", \"/\"]\n", "RUN curl"},
		"ADD of a URL in quotes":       {"FROM a\nADD \"ht\"tp://127.0.0.1/x /\n", "RUN curl"},
		"ADD of a URL in a variable":   {"FROM a\nARG U=http:\nADD $U//127.0.0.1/x /\n", "RUN curl"},
		"ADD of a URL of the image":    {"FROM a\nADD $U /\n", "$U has no value"},
		"ADD of git":                   {"FROM a\nADD git@example.org:x.git /\n", "git clone"},
		"ADD of what is no name":       {"FROM a\nADD \\$U /\n", "use COPY"},
		"the host's network":           {"FROM a\nRUN --network=host true\n", "--network=host is not possible"},
		"the host's network in quotes": {"FROM a\nRUN --network=h\"os\"t true\n", "--network=host is not possible"},
		"no isolation":                 {"FROM a\nRUN --security=insecure true\n", "not possible"},
		"an odd mount":                 {"FROM a\nRUN --mount=type=devpts,target=/x true\n", "not possible"},
		"a mount's propagation":        {"FROM a\nRUN --mount=type=bind,target=/x,bind-propagation=O true\n", "not possible"},
		"a mount's owner":              {"FROM a\nRUN --mount=type=bind,target=/x,U true\n", "not possible"},
		"two images of a mount":        {"FROM a\nRUN --mount=from=b,target=/x,from=c true\n", "not possible"},
		"a quoted mount":               {"FROM a\nRUN --mount='\"from=b\",target=/x y' true\n", "no plain text"},
		"a mount in a variable":        {"FROM a\nRUN --mount=$M true\n", "$M has no value"},
		"a mount of nothing":           {"FROM a\nRUN --mount=from=,target=/x true\n", "names nothing"},
		"a flag after all flags":       {"FROM a\nCOPY -- --from=b x y\n", "--from=b"},
		"a mount after all flags":      {"FROM a\nRUN -- --mount=from=b,target=/x true\n", "--mount=from=b"},
		"an image in a trigger":        {"FROM a\nONBUILD COPY --from=b x y\n", "ONBUILD COPY --from=b"},
		"a mount in a trigger":         {"FROM a\nONBUILD RUN --mount=from=b,target=/x true\n", "ONBUILD RUN"},
		"an image by a trigger":        {"FROM a\nONBUILD FROM b\n", "ONBUILD FROM"},
		"a URL in a trigger":           {"FROM a\nONBUILD ADD http://127.0.0.1 /\n", "ONBUILD ADD"},
		"a trigger in a trigger":       {"FROM a\nONBUILD ONBUILD RUN x\n", "ONBUILD ONBUILD"},
		"an open here-document":        {"FROM a\nRUN <<EOF\nFROM b\n", "unterminated"},
		"an odd here-document":         {"FROM a\nRUN <<'E F'\nFROM b\nE F\n", "here-document"},
		"a doubtful here-document":     {"FROM a\nRUN <<EOF \"<<X\"\nFROM b\nEOF\n", "cannot be told"},
		"an end that continues":        {"FROM a\nRUN x \\\\", "ends in the middle"},
	} {
		_, err := parseContainerfile([]byte(c.text), nil)
		var f *Failure
		if !errors.As(err, &f) || f.Kind != Build || !strings.Contains(f.Text(), c.want) || f.Hint == "" {
			t.Errorf("%s: %v, want a build failure with a hint that says %q", name, err, c.want)
		}
	}
}

// FuzzContainerfile looks in what the engine gets for anything that was not looked
// at: read again by the parser, line by line, it must name our IDs and stages only.
func FuzzContainerfile(f *testing.F) {
	for _, text := range []string{
		"FROM a AS b\nCOPY --from=c x y\nRUN --mount=type=cache,target=/x,from=b true\n",
		"# escape=`\nARG I=a\nFROM $I\nADD x y\n", "FROM a\nRUN <<EOF\nFROM b\nEOF\n", "FROM a\nONBUILD COPY x y\n", "FROM a\nRUN x \\\n\nFROM b\\\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseContainerfile([]byte(text), nil)
		if err != nil {
			if AsFailure(err).Kind != Build {
				t.Errorf("%v is no build failure", err)
			}
			return
		}
		ids := map[string]string{}
		for _, name := range c.images() {
			ids[name] = strings.Repeat("1d", 32)
		}
		written := c.render(ids, 7)
		checkWritten(t, c, written)
		again, err := parseContainerfile(written, nil)
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nwhich is refused: %v", text, written, err)
		}
		for _, name := range again.images() {
			if name != strings.Repeat("1d", 32) {
				t.Errorf("%s\nis written as\n%s\nwhich names %q", text, written, name)
			}
		}
	})
}

func checkWritten(t *testing.T, c *containerfile, written []byte) {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(written))
	if err != nil {
		t.Fatalf("%s\n%v", written, err)
	}
	for _, node := range parsed.AST.Children {
		for _, flag := range node.Flags {
			if strings.Contains(flag, "from") && strings.Contains(flag, "$") || strings.HasPrefix(flag, "--mount") && strings.Contains(flag, "$") {
				t.Errorf("%s\n%s has a variable", written, flag)
			}
		}
	}
	if c.heredocs {
		return
	}
	// One line for one instruction, so there is nothing that hides in a line.
	lines := slices.DeleteFunc(strings.Split(string(written), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "# escape=") })
	if len(lines) != len(parsed.AST.Children) {
		t.Errorf("%d lines are %d instructions:\n%s", len(lines), len(parsed.AST.Children), written)
	}
}
