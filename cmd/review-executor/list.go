package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newList() *cobra.Command {
	var (
		output    string
		selection review.Selection
	)
	cmd := &cobra.Command{
		Use:     "list",
		GroupID: "admin",
		Short:   "List the review apps",
		Long: `list shows the review apps of this host, by name. What is chosen must fit all
of the flags. The age of an app is that of the version that serves.

On a terminal that is too narrow the table is shortened; --output json never is.`,
		Example: `  review-executor list --project 'group/**' --older-than 72h
  review-executor list --state pinned,expiring --output json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "table", "json"); err != nil {
				return err
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			l := newLifecycle(s, nil, nil, operatorLog(cmd))
			records, asleep, err := listedApps(cmd, l, selection)
			if err != nil {
				return err
			}
			if output == "json" {
				return listJSON(cmd.OutOrStdout(), records, asleep, l.Front.URL)
			}
			return listTable(cmd.OutOrStdout(), records, asleep, l.Front.URL, time.Now())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT` of the list: table or json")
	cmd.Flags().StringSliceVar(&selection.States, "state", nil, "only apps in this `STATE`, or one of several: live, sleeping, deploying, stopping, static, pinned, expiring")
	selectionFlags(cmd, &selection)
	completeWith(cmd, "output", "table", "json")
	completeWith(cmd, "state", review.States...)
	return cmd
}

// listedApps are the apps that are chosen, and which of all sleep.
func listedApps(cmd *cobra.Command, l *review.Lifecycle, s review.Selection) ([]review.Record, map[string]bool, error) {
	if err := s.Problem(); err != nil {
		return nil, nil, usageError{err}
	}
	states := s.States
	s.States = nil
	records, err := chosen(cmd, l.Records, s)
	if err != nil {
		return nil, nil, err
	}
	asleep, err := l.Asleep(cmd.Context(), records)
	if err != nil && slices.Contains(states, "sleeping") {
		return nil, nil, err
	}
	if err != nil { // the rest is worth having
		fmt.Fprintf(cmd.ErrOrStderr(), "WARNING: which apps sleep is not known: %s\n", review.Printable(err.Error(), 300))
	}
	s.States, s.Asleep = states, asleep
	now := time.Now()
	return slices.DeleteFunc(records, func(r review.Record) bool { return !s.Chooses(r, now) }), asleep, nil
}

// completeWith has a flag completed with these values.
func completeWith(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}

func warnDamaged(cmd *cobra.Command, damaged map[string]error) {
	for _, app := range slices.Sorted(maps.Keys(damaged)) {
		fmt.Fprintf(cmd.ErrOrStderr(), "WARNING: %s: %v\n", app, damaged[app])
	}
}

// listed is an app in the JSON list.
type listed struct {
	Name        string     `json:"name"`
	URL         string     `json:"url"`
	Project     string     `json:"project"`
	Environment string     `json:"environment"`
	State       string     `json:"state"` // deploying, live, sleeping or stopping
	Ref         string     `json:"ref"`
	SHA         string     `json:"sha"`
	Job         int64      `json:"job"`
	Deployed    time.Time  `json:"deployed,omitzero"` // none serves yet
	Pinned      bool       `json:"pinned,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
}

func listedOf(r review.Record, asleep bool, url string) listed {
	app := listed{r.Name, url, r.Project, r.Environment, stateOf(r, asleep), r.Current().Ref, r.Current().SHA, r.Current().Job, r.Live.Deployed, r.Pinned, nil}
	if !r.AutoStop.IsZero() {
		app.Expires = &r.AutoStop
	}
	return app
}

// stateOf is the app's in one word.
func stateOf(r review.Record, asleep bool) string {
	if asleep {
		return "sleeping"
	}
	return r.State()
}

func listJSON(w io.Writer, records []review.Record, asleep map[string]bool, url func(string) string) error {
	apps := make([]listed, 0, len(records))
	for _, r := range records {
		apps = append(apps, listedOf(r, asleep[r.Name], url(r.Host)))
	}
	return writeJSON(w, apps)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func listTable(w io.Writer, records []review.Record, asleep map[string]bool, url func(string) string, now time.Time) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(w, "No review apps.")
		return err
	}
	pinned := slices.ContainsFunc(records, func(r review.Record) bool { return r.Pinned })
	expires := slices.ContainsFunc(records, func(r review.Record) bool { return !r.AutoStop.IsZero() })
	line := func(app, project, branch, commit, state, deployed, pin, expiry, url string) []string {
		cells := []string{app, project, branch, commit, state, deployed}
		if pinned {
			cells = append(cells, pin)
		}
		if expires {
			cells = append(cells, expiry)
		}
		return append(cells, url)
	}
	rows := [][]string{line("APP", "PROJECT", "BRANCH", "COMMIT", "STATE", "DEPLOYED", "PINNED", "EXPIRES", "URL")}
	for _, r := range records {
		pin := ""
		if r.Pinned {
			pin = "yes"
		}
		rows = append(rows, line(r.Name, review.Printable(r.Project, 200), review.Printable(r.Current().Ref, 40), fmt.Sprintf("%.7s", r.Current().SHA), stateOf(r, asleep[r.Name]), deployed(r, now), pin, expiry(r, now), url(r.Host)))
	}
	return writeTable(w, rows, []int{2, 1}, widthOf(w))
}

func deployed(r review.Record, now time.Time) string {
	if r.Live.ID == "" {
		return "not yet"
	}
	return humanize.RelTime(r.Live.Deployed, now, "ago", "from now")
}

func expiry(r review.Record, now time.Time) string {
	switch {
	case r.AutoStop.IsZero():
		return ""
	case r.AutoStop.Before(now):
		return "now"
	default:
		return "in " + humanize.RelTime(r.AutoStop, now, "", "")
	}
}
