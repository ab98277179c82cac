package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a manual page for each command into a directory",
		Hidden: true, // for those who make packages
		Args:   exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // everybody may read manuals
				return err
			}
			root := cmd.Root()
			root.InitDefaultCompletionCmd()
			root.DisableAutoGenTag = true // no date: the same source makes the same pages
			return doc.GenManTree(root, &doc.GenManHeader{Title: "REVIEW-EXECUTOR", Section: "1", Source: "review-executor " + version, Manual: "review-executor"}, args[0])
		},
	}
}
