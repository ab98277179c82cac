package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
)

func newLogs() *cobra.Command {
	var (
		wanted     review.AppLog
		since      time.Duration
		timestamps bool
		access     bool
	)
	cmd := &cobra.Command{
		Use:     "logs APP",
		GroupID: "admin",
		Short:   "Show what a review app writes, or who asked it for what",
		Long: `logs shows what the app's container has written: its stdout on stdout, its
stderr on stderr. With --follow it goes on with what comes, and with the next
version's container after a redeploy, until the app is stopped or Ctrl-C.

With --access it shows the app's requests, from Apache's log: visitor, user, time,
request, status, bytes, referrer, browser and microseconds. Rotated files are a
part of it, and --follow goes on until Ctrl-C.

On a terminal, colours pass and other control characters become "?". Into a
pipe or a file go the bytes as the app wrote them.`,
		Example: `  review-executor logs shop-login --follow --since 10m
  review-executor logs shop-login --companion postgres --lines 20
  review-executor logs shop-login --access --follow`,
		Args:              exactly(1),
		ValidArgsFunction: appNamesOf(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since < 0 {
				return usageError{errors.New("--since is more than nothing")}
			}
			if access && (timestamps || wanted.Companion != "") {
				return usageError{errors.New("--access goes with neither --companion nor --timestamps: each request has its time")}
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			if since > 0 {
				wanted.Query.Since = time.Now().Add(-since)
				if !cmd.Flags().Changed("lines") {
					wanted.Query.Lines = -1
				}
			}
			if access {
				return showRequests(cmd, s, args[0], wanted.Query)
			}
			engine, err := podman.Connect(cmd.Context(), s.Podman.Socket)
			if err != nil {
				return err
			}
			wanted.Name = args[0]
			wanted.Note = func(format string, args ...any) {
				fmt.Fprintf(cmd.ErrOrStderr(), "--- %s\n", review.Printable(fmt.Sprintf(format, args...), 500))
			}
			stdout, stderr := readable(cmd.OutOrStdout()), readable(cmd.ErrOrStderr())
			defer func() { _, _ = stdout.Close(), stderr.Close() }() // whoever reads has gone
			wanted.Each = eachLine(stdout, stderr, timestamps)
			err = newLifecycle(s, engine, nil, operatorLog(cmd)).ReadLog(cmd.Context(), wanted)
			if errors.Is(err, syscall.EPIPE) {
				return nil // "| head" has had enough
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&wanted.Query.Follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().IntVarP(&wanted.Query.Lines, "lines", "n", 100, "the last `N` lines; -1: all")
	cmd.Flags().DurationVar(&since, "since", 0, "what was written in the last `TIME`, such as 10m, and all of it unless --lines is given")
	cmd.Flags().StringVar(&wanted.Companion, "companion", "", "the log of the companion `NAME`, such as postgres")
	cmd.Flags().BoolVar(&access, "access", false, "the app's requests")
	cmd.Flags().BoolVar(&timestamps, "timestamps", false, "begin each line with its time, in UTC")
	err := cmd.RegisterFlagCompletionFunc("companion", func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return recorded(cmd, func(r review.Record) (names []string) {
			for _, c := range r.Live.Companions {
				if len(args) == 1 && args[0] == r.Name {
					names = append(names, c.Name)
				}
			}
			return names
		}), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
	return cmd
}

// readable is where a stranger's output can be written.
func readable(w io.Writer) io.WriteCloser {
	if isTerminal(w) {
		return &harmless{w: w}
	}
	return raw{w}
}

type raw struct{ io.Writer }

func (raw) Close() error { return nil }

// eachLine writes pieces of lines, with the time before each line if wanted.
func eachLine(stdout, stderr io.Writer, timestamps bool) func(review.LogPiece) error {
	begun := map[bool]bool{} // a line, by whether it is stderr's
	return func(p review.LogPiece) error {
		w := stdout
		if p.Stderr {
			w = stderr
		}
		if timestamps && !begun[p.Stderr] {
			if _, err := io.WriteString(w, p.Time.UTC().Format("2006-01-02T15:04:05.000Z ")); err != nil {
				return err
			}
		}
		begun[p.Stderr] = len(p.Text) > 0 && p.Text[len(p.Text)-1] != '\n'
		_, err := io.WriteString(w, p.Text)
		return err
	}
}
