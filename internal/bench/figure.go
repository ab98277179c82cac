package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
)

// figure is one line of the table. It holds if Value is at most Goal, or at least.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Goal   float64 `json:"goal"`
	Holds  bool    `json:"holds"`
	NoGoal bool    `json:"-"` // a figure to compare others with: it holds
	// The more, the better.
	AtLeast bool `json:"-"`
}

// report prints the table and writes build/bench.json.
func report(figures []figure) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tGOAL\tHOLDS")
	for i, f := range figures {
		figures[i].Holds = f.holds()
		goal := fmt.Sprintf("%.3g %s", f.Goal, f.Unit)
		if f.NoGoal {
			goal = "none"
		}
		fmt.Fprintf(table, "%s\t%.3g %s\t%s\t%v\n", f.Name, f.Value, f.Unit, goal, figures[i].Holds)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(hosttest.Root(), "build", "bench.json"), append(data, '\n'), 0o644)
}

func (f figure) holds() bool {
	if f.AtLeast {
		return f.Value >= f.Goal
	}
	return f.NoGoal || f.Value <= f.Goal
}

// median of values, which it sorts.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
