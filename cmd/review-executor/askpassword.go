package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gitlab.com/review-executor/review-executor/review"
)

// readPassword takes it from stdin, or asks for it twice on a terminal.
func readPassword(cmd *cobra.Command) (string, error) {
	if isTerminal(cmd.InOrStdin()) {
		return askPassword(cmd)
	}
	text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 4096))
	if err != nil {
		return "", err
	}
	line, more, _ := strings.Cut(string(text), "\n")
	if more != "" {
		return "", &review.Failure{What: "there is more than one line on stdin", State: "nothing was changed", Hint: "the password is one line"}
	}
	return strings.TrimSuffix(line, "\r"), nil
}

func askPassword(cmd *cobra.Command) (string, error) {
	terminal := int(cmd.InOrStdin().(*os.File).Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	var typed [2]string
	for i, prompt := range []string{"New password: ", "Once more: "} {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		typed[i], err = typePassword(cmd.Context(), terminal)
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			_ = term.Restore(terminal, before) // typing may still go on, without echo
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", &review.Failure{What: "the two passwords are not the same", State: "nothing was changed"}
	}
	return typed[0], nil
}

// typePassword reads a line without echo, until ctx ends.
func typePassword(ctx context.Context, terminal int) (string, error) {
	type answer struct {
		line []byte
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(terminal)
		given <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-given:
		return string(a.line), a.err
	}
}
