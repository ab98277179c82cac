package main

import (
	"github.com/spf13/cobra"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "review-executor",
		Short: "A running copy of every branch: a GitLab custom executor on Podman and Apache",
		Long: `review-executor gives every branch of a web project its own running copy.
gitlab-runner calls it as a custom executor: it runs CI jobs in Podman
containers, and when a job deploys to an environment such as review/login-form
it builds the branch, starts it and publishes it as an Apache virtual host.

Exit codes: 0 done, 1 not done, 2 wrong usage. Called by gitlab-runner, the
codes are those that the runner asks for in its environment.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().String("config", "", "configuration `FILE` (default $REVIEW_EXECUTOR_CONFIG or "+defaultConfigFile+")")
	root.PersistentFlags().Bool("verbose", false, "write the operator's log to stderr, whether there is a journal or not")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: "driver", Title: "Called by gitlab-runner:"},
		&cobra.Group{ID: "admin", Title: "For administrators:"},
	)
	root.AddCommand(
		newConfig(), newPrepare(), newRun(), newCleanup(),
		newList(), newShow(), newLogs(), newStop(), newRollback(), newPin(), newUnpin(), newSync(), newPrune(), newUsage(), newPassword(), newApacheConfig(),
		newDoctor(), newSetup(), newTry(), newFront(), newWake(), newSleep(), newServe(), newVersion(), newMan(),
	)
	root.SetHelpCommandGroupID("admin")
	root.SetCompletionCommandGroupID("admin")
	return root
}

// exactly is cobra.ExactArgs as wrong usage.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
