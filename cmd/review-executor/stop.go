package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newStop() *cobra.Command {
	var (
		dryRun, yes bool
		selection   review.Selection
	)
	cmd := &cobra.Command{
		Use:     "stop APP...",
		GroupID: "admin",
		Short:   "Stop review apps and remove everything of them",
		Long: `stop removes an app's virtual host, containers, network, volumes, images and
record. APP is its host label, as "review-executor list" shows it, or a quoted
pattern of it. With flags alone it means every app that fits all of them. A
pinned app is stopped only by its own name.

Whatever a pattern or flags choose is shown first, and asked for, as is more
than one app by name; --yes answers.`,
		Example: `  review-executor stop shop-login
  review-executor stop 'shop-*' --older-than 72h --dry-run
  review-executor stop --project group/shop --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if selection.Any() {
				return nil
			}
			return atLeast(1)(cmd, args)
		},
		ValidArgsFunction: appNamesOf(1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := connectedLifecycle(cmd)
			if err != nil {
				return err
			}
			selection.Names, selection.Unpinned = args, true
			apps, sure, err := toStop(cmd, l, selection)
			if err != nil {
				return err
			}
			log := review.NewLog(cmd.OutOrStdout())
			switch {
			case dryRun:
				wouldStop(log, apps)
				return nil
			case len(apps) == 0:
				log.Line("No review app is chosen.")
				return nil
			case sure:
				return l.Stop(cmd.Context(), apps[0], review.ByAdministrator, log)
			case !yes:
				wouldStop(log, apps)
				if err := confirm(cmd, fmt.Sprintf("Stop %s?", count(len(apps)))); err != nil {
					return err
				}
			}
			return stopAll(cmd, l, apps)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	selectionFlags(cmd, &selection)
	return cmd
}

// toStop finds what is meant. One app by its own name is meant for sure.
func toStop(cmd *cobra.Command, l *review.Lifecycle, s review.Selection) (apps []review.App, sure bool, err error) {
	pattern := s.Any() || slices.ContainsFunc(s.Names, review.IsPattern)
	if !pattern {
		apps, err := named(cmd, l, s.Names)
		return apps, len(apps) == 1, err
	}
	records, err := chosen(cmd, l.Records, s)
	if err != nil {
		return nil, false, err
	}
	for _, r := range records {
		apps = append(apps, r.App)
	}
	s.Unpinned = false
	with, err := chosen(cmd, l.Records, s)
	if pinned := len(with) - len(records); pinned > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "Left alone, because pinned: %s. An app is stopped by its own name, or after \"review-executor unpin\".\n", count(pinned))
	}
	// A name that is none is a mistake, even beside a pattern.
	var missing []string
	for _, name := range s.Names {
		if !review.IsPattern(name) && !slices.ContainsFunc(with, func(r review.Record) bool { return r.Name == name }) && !s.Any() {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && err == nil {
		_, err = named(cmd, l, missing)
	}
	return apps, false, err
}

func wouldStop(log *review.Log, apps []review.App) {
	for _, app := range apps {
		if app.Host == "" {
			log.Line("Would remove what a killed deploy or stop has left of %s", app.Name)
			continue
		}
		log.Line("Would stop review app %s of %s, environment %q, and remove everything of it", app.Name, app.Project, app.Environment)
	}
	if len(apps) == 0 {
		log.Line("No review app is chosen.")
	}
}

// count is so many apps.
func count(n int) string {
	if n == 1 {
		return "1 app"
	}
	return fmt.Sprintf("%d apps", n)
}

// confirm asks on a terminal. Nobody is asked who cannot answer.
func confirm(cmd *cobra.Command, question string) error {
	if !isTerminal(cmd.InOrStdin()) {
		return usageError{errors.New("there is no terminal to ask on: say --yes, or --dry-run to see what is meant")}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // no answer is no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-cmd.Context().Done():
		return cmd.Context().Err()
	case given := <-answer:
		if given == "y" || given == "yes" {
			return nil
		}
		return &review.Failure{What: "nobody said yes", State: "nothing was changed"}
	}
}

func stopAll(cmd *cobra.Command, l *review.Lifecycle, apps []review.App) error {
	progress := newProgress(cmd.ErrOrStderr(), len(apps), "stopping apps")
	out := progress.around(cmd.OutOrStdout())
	err := l.StopAll(cmd.Context(), apps, review.NewLog(out), func(review.App) { progress.step() })
	progress.done()
	if err == nil {
		_, err = io.WriteString(cmd.OutOrStdout(), fmt.Sprintf("Stopped %s\n", count(len(apps))))
	}
	return err
}
