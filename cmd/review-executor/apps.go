package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

// selectionFlags are those by which commands choose apps.
func selectionFlags(cmd *cobra.Command, s *review.Selection) {
	projectFlag(cmd, &s.Project)
	cmd.Flags().DurationVar(&s.Older, "older-than", 0, "only apps that were deployed longer than `AGE` ago, such as 72h")
	cmd.Flags().DurationVar(&s.Newer, "newer-than", 0, "only apps that were deployed less than `AGE` ago")
}

func projectFlag(cmd *cobra.Command, project *string) {
	cmd.Flags().StringVar(project, "project", "", "only projects whose full path matches `PATTERN`: group/shop, 'group/**'")
	complete(cmd, "project", func(r review.Record) []string { return []string{r.Project} })
}

// complete has a flag completed with what the records have.
func complete(cmd *cobra.Command, flag string, of func(review.Record) []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return recorded(cmd, of), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
}

// appNamesOf completes APP with the apps' names, each once.
func appNamesOf(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := recorded(cmd, func(r review.Record) []string { return []string{r.Name} })
		return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// recorded collects something of all records, without Podman. A shell wants no errors.
func recorded(cmd *cobra.Command, of func(review.Record) []string) []string {
	s, err := settingsOf(cmd)
	if err != nil {
		return nil
	}
	records, _, _ := review.NewRecords(s.StateDir).All()
	var all []string
	for _, r := range records {
		all = append(all, of(r)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// atLeast is cobra.MinimumNArgs as wrong usage.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.MinimumNArgs(n)(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// checkOutput says that the value of --output is none of those that there are.
func checkOutput(output string, there ...string) error {
	if slices.Contains(there, output) {
		return nil
	}
	if len(there) == 2 {
		return usageError{fmt.Errorf("--output %q is neither %s nor %s", output, there[0], there[1])}
	}
	return usageError{fmt.Errorf("--output %q is none of %s", output, strings.Join(there, ", "))}
}

// chosen are the apps of the records that a selection chooses. The records that
// cannot be read are warned of.
func chosen(cmd *cobra.Command, records *review.Records, s review.Selection) ([]review.Record, error) {
	if err := s.Problem(); err != nil {
		return nil, usageError{err}
	}
	all, damaged, err := records.All()
	if err != nil {
		return nil, err
	}
	warnDamaged(cmd, damaged)
	now := time.Now()
	return slices.DeleteFunc(all, func(r review.Record) bool { return !s.Chooses(r, now) }), nil
}

// named finds each app by its name, or says of all that there are none.
func named(cmd *cobra.Command, l *review.Lifecycle, names []string) ([]review.App, error) {
	var (
		apps   []review.App
		failed []error
	)
	for _, name := range names {
		app, err := l.Find(cmd.Context(), name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	if len(failed) == 1 {
		return apps, failed[0]
	}
	if len(failed) > 1 {
		return apps, &review.Failure{What: fmt.Sprintf("%d of %d apps cannot be found", len(failed), len(names)), Cause: errors.Join(failed...), State: "nothing was changed", Hint: `"review-executor list" shows those that are there`}
	}
	return apps, nil
}
