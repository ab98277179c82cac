package main

import (
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/review"
)

func newSync() *cobra.Command {
	var options review.SyncOptions
	cmd := &cobra.Command{
		Use:     "sync",
		GroupID: "admin",
		Short:   "Bring everything to what the records say",
		Long: `sync starts what should serve and does not, applies the virtual hosts, finishes
deploys and stops that were killed, and removes what no record owns. It is safe
to run at any time: apps that somebody works on are left to them, and one app's
trouble does not keep it from the others.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := connectedLifecycle(cmd)
			if err != nil {
				return err
			}
			return l.Sync(cmd.Context(), review.NewLog(cmd.OutOrStdout()), options)
		},
	}
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&options.Yes, "yes", false, "remove apps without a record, however many")
	return cmd
}
