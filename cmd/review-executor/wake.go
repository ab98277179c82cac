package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

// newWake and newSleep are what the units of a release call.
func newWake() *cobra.Command {
	return unitCommand("wake", "Start a release that sleeps",
		`wake starts the containers of a release, companions first, and returns when it is
healthy. The user's systemd calls it when somebody asks for the app.`,
		func(cmd *cobra.Command, l *review.Lifecycle, app, release string) error {
			out := readable(cmd.OutOrStdout())
			defer out.Close()
			return l.Wake(cmd.Context(), app, release, review.NewLog(out))
		})
}

func newSleep() *cobra.Command {
	return unitCommand("sleep", "End a release that nobody asks for",
		`sleep ends the containers of a release. Its volumes stay. The user's systemd calls
it when there was no connection to the app for a while.`,
		func(cmd *cobra.Command, l *review.Lifecycle, app, release string) error {
			return l.Sleep(context.WithoutCancel(cmd.Context()), app, release)
		})
}

func unitCommand(name, short, long string, do func(cmd *cobra.Command, l *review.Lifecycle, app, release string) error) *cobra.Command {
	return &cobra.Command{
		Use:    name + " APP RELEASE",
		Short:  short,
		Long:   long,
		Hidden: true,
		Args:   exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := connectedLifecycle(cmd)
			if err != nil {
				return err
			}
			if l.Supervisor == nil {
				return &review.Failure{
					What: fmt.Sprintf("no supervisor is configured that could %s %s", name, review.Printable(strings.Join(args, " "), 200)),
					Hint: `the configuration has no supervisor = "systemd" any more: "review-executor sync" lets the app run without one`,
				}
			}
			return do(cmd, l, args[0], args[1])
		},
	}
}
