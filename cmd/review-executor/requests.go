package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/review"
)

// showRequests writes the app's requests. An app that has ended may still have some.
func showRequests(cmd *cobra.Command, s Settings, app string, query review.LogQuery) error {
	if s.Apache.AccessLog == "" {
		return &review.Failure{
			What: "Apache's log of requests is switched off: apache.access_log is empty",
			Hint: "name a file there, then run \"review-executor front\"; requests from then on are in it",
		}
	}
	record, err := review.NewRecords(s.StateDir).Load(app)
	if err != nil {
		return err
	}
	stdout := readable(cmd.OutOrStdout())
	defer func() { _ = stdout.Close() }() // whoever reads has gone
	shown := false
	wanted := apache.AccessQuery{Host: app + "." + s.Domain, Lines: query.Lines, Since: query.Since, Follow: query.Follow && record != nil}
	err = apache.ReadAccessLog(cmd.Context(), s.Apache.AccessLog, wanted, func(line []byte) error {
		shown = true
		_, err := fmt.Fprintf(stdout, "%s\n", line)
		return err
	})
	switch {
	case errors.Is(err, syscall.EPIPE): // "| head" has had enough
		return nil
	case err != nil:
		return requestsFailure(s.Apache.AccessLog, err)
	case record == nil && !shown:
		return &review.Failure{
			What: fmt.Sprintf("there is no review app %q, and nobody has asked for one", review.Printable(app, 80)),
			Hint: `"review-executor list" shows those that are there`,
		}
	}
	return nil
}

func requestsFailure(file string, err error) error {
	hint := "show this to the host's administrator"
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "run it as root, or as a user in the group adm, which may read Apache's logs on Debian"
	case errors.Is(err, fs.ErrNotExist):
		hint = "Apache makes the file when it is reloaded with the virtual hosts: \"review-executor front\" does that; does it include apache.vhost_dir?"
	}
	return &review.Failure{What: "the log of requests in " + file + " cannot be read", Cause: err, Hint: hint}
}
