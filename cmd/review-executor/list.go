package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		GroupID: "admin",
		Short:   "List the review apps",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q is neither table nor json", output)}
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			l := newLifecycle(s, nil, nil, operatorLog(cmd))
			records, damaged, err := l.Records.All()
			if err != nil {
				return err
			}
			for _, app := range slices.Sorted(maps.Keys(damaged)) {
				fmt.Fprintf(cmd.ErrOrStderr(), "WARNING: %s: %v\n", app, damaged[app])
			}
			if output == "json" {
				return listJSON(cmd.OutOrStdout(), records, l.Front.URL)
			}
			return listTable(cmd.OutOrStdout(), records, l.Front.URL)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT` of the list: table or json")
	return cmd
}

// listed is an app in the JSON list.
type listed struct {
	Name        string    `json:"name"`
	URL         string    `json:"url"`
	Project     string    `json:"project"`
	Environment string    `json:"environment"`
	State       string    `json:"state"` // deploying, live or stopping
	Ref         string    `json:"ref"`
	SHA         string    `json:"sha"`
	Job         int64     `json:"job"`
	Deployed    time.Time `json:"deployed"`
}

func listJSON(w io.Writer, records []review.Record, url func(string) string) error {
	apps := make([]listed, 0, len(records))
	for _, r := range records {
		apps = append(apps, listed{r.Name, url(r.Host), r.Project, r.Environment, stateOf(r), r.Live.Ref, r.Live.SHA, r.Live.Job, r.Live.Deployed})
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(apps)
}

func stateOf(r review.Record) string {
	switch {
	case r.Stopping:
		return "stopping"
	case r.Live.ID == "":
		return "deploying"
	default:
		return "live"
	}
}

func deployed(r review.Record) string {
	if r.Live.ID == "" {
		return "not yet"
	}
	return humanize.Time(r.Live.Deployed)
}

func listTable(w io.Writer, records []review.Record, url func(string) string) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(w, "No review apps.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "APP\tPROJECT\tBRANCH\tCOMMIT\tSTATE\tDEPLOYED\tURL")
	for _, r := range records {
		fmt.Fprintf(table, "%s\t%s\t%s\t%.7s\t%s\t%s\t%s\n", r.Name, r.Project, review.Printable(r.Live.Ref, 40), r.Live.SHA, stateOf(r), deployed(r), url(r.Host))
	}
	return table.Flush()
}
