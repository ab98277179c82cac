package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newUsage() *cobra.Command {
	var month, project, output string
	cmd := &cobra.Command{
		Use:     "usage",
		GroupID: "admin",
		Short:   "Show what each project has used in a month",
		Long: `usage shows by project how long its apps were there, how much of the
processors and of memory they and their companions have used, and how much disk
they held: hours of one app, of one processor, of one GiB. Months are UTC's and
are kept for two years. "review-executor sync" counts it.`,
		Example: `  review-executor usage --month 2026-11 --output csv`,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "table", "json", "csv"); err != nil {
				return err
			}
			if !doublestar.ValidatePattern(project) {
				return usageError{fmt.Errorf("%q is no pattern", project)}
			}
			if _, err := time.Parse("2006-01", month); err != nil {
				return usageError{fmt.Errorf("--month %q is no month such as 2026-11", month)}
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			used, err := usageOf(review.NewRecords(s.StateDir), month, project)
			if err != nil {
				return err
			}
			switch output {
			case "json":
				return writeJSON(cmd.OutOrStdout(), used)
			case "csv":
				return usageCSV(cmd.OutOrStdout(), used)
			default:
				return usageTable(cmd.OutOrStdout(), month, used)
			}
		},
	}
	cmd.Flags().StringVar(&month, "month", time.Now().UTC().Format("2006-01"), "`MONTH` such as 2026-11")
	cmd.Flags().Lookup("month").DefValue = "" // help says the same every month
	cmd.Flags().Lookup("month").Usage += " (default: this month)"
	projectFlag(cmd, &project)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table, json or csv")
	completeWith(cmd, "output", "table", "json", "csv")
	err := cmd.RegisterFlagCompletionFunc("month", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var months []string
		if s, err := settingsOf(cmd); err == nil {
			months, _ = review.NewRecords(s.StateDir).Months() // a shell wants no errors
		}
		return months, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
	return cmd
}

// projectUsage is one project's month.
type projectUsage struct {
	Month     string `json:"month"`
	ProjectID int64  `json:"project_id"`
	review.Used
}

// usageOf is sorted by project.
func usageOf(records *review.Records, month, pattern string) ([]projectUsage, error) {
	all, err := records.Usage(month)
	if err != nil {
		return nil, err
	}
	chosen := []projectUsage{}
	for number, used := range all {
		id, err := strconv.ParseInt(number, 10, 64)
		if err == nil && (pattern == "" || doublestar.MatchUnvalidated(pattern, used.Project)) {
			chosen = append(chosen, projectUsage{month, id, *used})
		}
	}
	slices.SortFunc(chosen, func(a, b projectUsage) int {
		if c := strings.Compare(a.Project, b.Project); c != 0 {
			return c
		}
		return int(a.ProjectID - b.ProjectID)
	})
	return chosen, nil
}

func (u projectUsage) figures() []float64 {
	return []float64{u.AppHours, u.CPUHours, u.MemoryHours, u.DiskHours}
}

func usageTable(w io.Writer, month string, all []projectUsage) error {
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "Nothing was counted in %s.\n", month)
		return err
	}
	row := func(name string, figures []float64) []string {
		cells := []string{review.Printable(name, 100)}
		for _, f := range figures {
			cells = append(cells, strconv.FormatFloat(f, 'f', 2, 64))
		}
		return cells
	}
	rows := [][]string{{"PROJECT", "APP HOURS", "CPU HOURS", "MEMORY GIB*H", "DISK GIB*H"}}
	total := make([]float64, 4)
	for _, u := range all {
		rows = append(rows, row(u.Project, u.figures()))
		for i, f := range u.figures() {
			total[i] += f
		}
	}
	if len(all) > 1 {
		rows = append(rows, row("all", total))
	}
	return writeTable(w, rows, []int{0}, widthOf(w))
}

func usageCSV(w io.Writer, all []projectUsage) error {
	table := csv.NewWriter(w)
	rows := [][]string{{"month", "project_id", "project", "app_hours", "cpu_hours", "memory_gib_hours", "disk_gib_hours"}}
	for _, u := range all {
		row := []string{u.Month, strconv.FormatInt(u.ProjectID, 10), u.Project}
		for _, f := range u.figures() {
			row = append(row, strconv.FormatFloat(f, 'f', 4, 64))
		}
		rows = append(rows, row)
	}
	return table.WriteAll(rows)
}
