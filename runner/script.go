package runner

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// script writes the stage's script to a file, as the runner generates them for
// its bash shell: the environment first, then the commands, without a stdin
// that they could take for theirs.
func (c *call) script(ctx context.Context, stage string) (string, error) {
	file, err := os.Create(filepath.Join(c.dir, "script."))
	if err != nil {
		return "", err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "set -e")
	switch stage {
	case "prepare_script":
		fmt.Fprintln(w, `echo "Running on $(hostname)..."`)
	case "get_sources":
		err = c.writeGetSources(ctx, w)
	case "build_script":
		c.writeUserScript(w)
	case "cleanup_file_variables":
		fmt.Fprintf(w, "rm -rf %s\n", quote(c.projectDir+".tmp"))
	}
	if err == nil {
		err = w.Flush()
	}
	return file.Name(), err
}

func (c *call) writeGetSources(ctx context.Context, w io.Writer) error {
	if c.Variables["GIT_STRATEGY"] == "none" || c.Action == "stop" {
		_, err := fmt.Fprintln(w, `echo "Skipping Git repository setup"`)
		return err
	}
	dir := quote(c.projectDir)
	fmt.Fprintf(w, "mkdir -p %s/.git %s\ncd %s\n", dir, quote(c.projectDir+".tmp"), dir)
	fmt.Fprintln(w, "base64 -d <<'END' | tar -xzf - -C .git")
	encoder := base64.NewEncoder(base64.StdEncoding, &lines{w: w})
	if err := c.writeRepository(ctx, c.dir, encoder); err != nil {
		return err
	}
	encoder.Close()
	_, err := fmt.Fprintf(w, `
END
git config core.bare false
git remote set-url origin %s
git checkout -q -f --detach %s
echo "Checked out %s as detached HEAD"
`, quote(c.repoURL()), c.sha, c.sha[:8])
	return err
}

// lines breaks what is written to it into lines that any shell can hold.
type lines struct {
	w      io.Writer
	column int
}

func (l *lines) Write(b []byte) (int, error) {
	const width = 76
	written := 0
	for len(b) > 0 {
		n := min(width-l.column, len(b))
		if _, err := l.w.Write(b[:n]); err != nil {
			return written, err
		}
		written += n
		l.column += n
		b = b[n:]
		if l.column == width {
			if _, err := io.WriteString(l.w, "\n"); err != nil {
				return written, err
			}
			l.column = 0
		}
	}
	return written, nil
}

func (c *call) writeUserScript(w io.Writer) {
	var body strings.Builder
	for _, v := range c.vars {
		fmt.Fprintf(&body, "export %s=%s\n", v.Key, quote(v.Value))
	}
	fmt.Fprintf(&body, "export CI_PROJECT_DIR=%s\nmkdir -p \"$CI_PROJECT_DIR\"\ncd \"$CI_PROJECT_DIR\"\n", quote(c.projectDir))
	for _, line := range c.Script {
		fmt.Fprintf(&body, "echo %s\n%s\n", quote("$ "+line), line)
	}
	fmt.Fprintf(w, ": | eval %s\n", quote(body.String()))
}

// quote makes text one word of a POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
