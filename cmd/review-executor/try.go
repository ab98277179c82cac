package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/runner"
)

func newTry() *cobra.Command {
	var (
		job       runner.Job
		services  []string
		variables []string
		stop      bool
	)
	cmd := &cobra.Command{
		Use:     "try DIR",
		GroupID: "admin",
		Short:   "Deploy a branch of a local git checkout, without GitLab",
		Long: `try plays gitlab-runner for a git checkout on this machine: it makes a job
response as GitLab would, runs all stages of this program as the runner would,
and prints the job log. Only what is committed is deployed.`,
		Example: `  review-executor try . --branch feature/login
  review-executor try . --service docker.io/library/redis:7=redis --variable REVIEW_VOLUMES=/data
  review-executor try . --branch feature/login --stop`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job.Dir = args[0]
			job.Action = "start"
			if stop {
				job.Action = "stop"
			}
			var err error
			if job.Services, err = parseServices(services); err != nil {
				return err
			}
			if job.Variables, err = parseVariables(variables); err != nil {
				return err
			}
			stages, err := ownStages(cmd)
			if err != nil {
				return err
			}
			return job.Run(cmd.Context(), stages, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&job.Branch, "branch", "", "`BRANCH` to deploy (default: the one that is checked out)")
	flags.BoolVar(&stop, "stop", false, "stop the branch's app, as a job with \"action: stop\" does")
	flags.StringVar(&job.Environment, "environment", "review/$CI_COMMIT_REF_SLUG", "`NAME` of the environment")
	flags.StringVar(&job.Image, "image", "", "`IMAGE` of the job (default: the host's)")
	flags.StringArrayVar(&services, "service", nil, "a service of the job, which becomes the app's companion, as `IMAGE[=ALIAS]`; may be repeated")
	flags.StringArrayVar(&job.Script, "script", []string{"true"}, "a `LINE` of the job's script; may be repeated")
	flags.StringArrayVar(&variables, "variable", nil, "a CI variable as `KEY=VALUE`; may be repeated")
	return cmd
}

// ownStages is the command that runs this program's stages with the same
// configuration.
func ownStages(cmd *cobra.Command) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := cmd.Flags().GetString("config")
	if err != nil || file == "" {
		return []string{program}, err
	}
	file, err = filepath.Abs(file) // the stages run in a directory of their own
	return []string{program, "--config", file}, err
}

// parseServices reads IMAGE[=ALIAS], of which no image's name has the "=".
func parseServices(entries []string) ([]runner.Service, error) {
	var services []runner.Service
	for _, entry := range entries {
		image, alias, found := strings.Cut(entry, "=")
		if image == "" || (found && alias == "") {
			return nil, usageError{fmt.Errorf("--service %q is not IMAGE or IMAGE=ALIAS", entry)}
		}
		services = append(services, runner.Service{Name: image, Alias: alias})
	}
	return services, nil
}

func parseVariables(entries []string) (map[string]string, error) {
	variables := map[string]string{}
	for _, entry := range entries {
		key, value, found := strings.Cut(entry, "=")
		if !found || key == "" {
			return nil, usageError{fmt.Errorf("--variable %q is not KEY=VALUE", entry)}
		}
		variables[key] = value
	}
	return variables, nil
}
