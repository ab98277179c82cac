package runner

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// FuzzQuote lets a real shell be the judge: what is quoted is one word, and the
// same again.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "two words", "it's", "'", "''", `'\''`, `\`, `a\`, "a\nb", "\n", "$HOME", "${HOME}", "$(id)", "`id`", `"`, "*", "~", "#", "!!", "-n", "%s", "a;b", "a&b", "a|b", "ünï", "\xff\xfe", "\x01\x7f\x1b[0m", "\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			t.Skip("no shell can hold NUL")
		}
		if len(text) > 1<<15 {
			t.Skip("longer than a command may be")
		}
		got, err := exec.Command("sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(got) != text {
			t.Errorf("%q became %q (%v)", text, got, err)
		}
	})
}

func TestWriteUserScript_RunsTheLinesWithTheVariables(t *testing.T) {
	dir := t.TempDir()
	c := call{projectDir: dir + "/it's a \"project\""}
	c.vars = []variable{{Key: "GREETING", Value: "it's $HOME; `id`\n\"two\" lines"}}
	c.Script = []string{`printf '%s|' "$GREETING"`, "pwd", "cat", "echo 'it'\\''s last'"}
	var script bytes.Buffer
	c.writeUserScript(&script)
	script.WriteString("echo behind\n")

	cmd := exec.Command("bash") // reads no more of its script than it runs
	cmd.Stdin = &script
	out, err := cmd.CombinedOutput()
	want := "$ printf '%s|' \"$GREETING\"\n" + c.vars[0].Value + "|" +
		"$ pwd\n" + c.projectDir + "\n" +
		"$ cat\n" + // its stdin has ended, and is not the script
		"$ echo 'it'\\''s last'\nit's last\nbehind\n"
	if err != nil || string(out) != want {
		t.Errorf("it says (%v)\n%q, want\n%q", err, out, want)
	}
}

func TestWriteUserScript_EndsAtTheFirstFailure(t *testing.T) {
	c := call{projectDir: t.TempDir()}
	c.Script = []string{"echo one", "(exit 42)", "echo two"}
	script := bytes.NewBufferString("set -e\n")
	c.writeUserScript(script)

	cmd := exec.Command("sh")
	cmd.Stdin = script
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 42 || string(out) != "$ echo one\none\n$ (exit 42)\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestLines_BreaksAndLosesNothing(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	for _, piece := range []int{1, 7, 75, 76, 77, 1000} {
		var got bytes.Buffer
		l := &lines{w: &got}
		for rest := text; rest != ""; {
			n, err := l.Write([]byte(rest[:min(piece, len(rest))]))
			if err != nil || n == 0 {
				t.Fatalf("pieces of %d: %d, %v", piece, n, err)
			}
			rest = rest[n:]
		}
		if strings.ReplaceAll(got.String(), "\n", "") != text {
			t.Errorf("pieces of %d:\n%s", piece, got.String())
		}
		for _, line := range strings.Split(got.String(), "\n") {
			if len(line) > 76 {
				t.Errorf("pieces of %d: a line of %d", piece, len(line))
			}
		}
	}
}
