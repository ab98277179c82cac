package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/review"
)

func newPassword() *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:     "password",
		GroupID: "admin",
		Short:   "Manage who may see the review apps",
		Long: `password manages the file of users that Apache asks (apache.htpasswd), or with
--project that of one project ([[projects]] htpasswd). Other lines of the file
stay as they are. A password is never on a command line: it comes from stdin, or
is asked for on a terminal.

After a change Apache's virtual hosts are brought to date, so that whoever was
removed, or has a new password, is logged out at once.`,
		Example: `  review-executor password set alice
  review-executor password set alice --generate
  review-executor password remove alice`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&project, "project", "", "in the file of the project with this full `PATH`")
	err := cmd.RegisterFlagCompletionFunc("project", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return projectsWithUsers(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
	cmd.AddCommand(newPasswordSet(&project), newPasswordRemove(&project), newPasswordList(&project))
	return cmd
}

func newPasswordSet(project *string) *cobra.Command {
	var generate bool
	cmd := &cobra.Command{
		Use:   "set USER",
		Short: "Give a user a password, and add the user if need be",
		Long: `set gives a user a password, and adds the user if need be. The password is asked
for twice on a terminal; otherwise it is the one line on stdin. --generate makes
a strong one and prints it on stdout, once.`,
		Example: `  review-executor password set alice
  pass show review/alice | review-executor password set alice`,
		Args:              exactly(1),
		ValidArgsFunction: userNames(project),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, file, err := usersFile(cmd, *project)
			if err != nil {
				return err
			}
			if err := apache.CheckUser(args[0]); err != nil {
				return usageError{err}
			}
			password := rand.Text()
			if !generate {
				if password, err = readPassword(cmd); err != nil {
					return err
				}
			}
			if err := apache.CheckPassword(password); err != nil {
				return &review.Failure{What: fmt.Sprintf("user %q gets no such password", args[0]), Cause: err, State: "nothing was changed"}
			}
			return setPassword(cmd, s, file, args[0], password, generate)
		},
	}
	cmd.Flags().BoolVar(&generate, "generate", false, "make a password and print it")
	return cmd
}

func setPassword(cmd *cobra.Command, s Settings, file, user, password string, print bool) error {
	open, err := apache.SetUser(cmd.Context(), file, user, password)
	if err != nil {
		return usersFailure(file, err)
	}
	if print {
		fmt.Fprintln(cmd.OutOrStdout(), password)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "User %s has a new password in %s\n", user, file)
	if open {
		warn(cmd, "%s is new, and every user of this host can read its hashes: it could not be given to Apache's group, www-data. If Apache runs as another user, change its group and its mode.", file)
	}
	return applyUsers(cmd, s, fmt.Sprintf("user %q has the new password", user))
}

func newPasswordRemove(project *string) *cobra.Command {
	return &cobra.Command{
		Use:               "remove USER",
		Short:             "Remove a user",
		Args:              exactly(1),
		ValidArgsFunction: userNames(project),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, file, err := usersFile(cmd, *project)
			if err != nil {
				return err
			}
			left, err := apache.RemoveUser(cmd.Context(), file, args[0])
			if errors.Is(err, apache.ErrNoUser) {
				return &review.Failure{
					What:  fmt.Sprintf("there is no user %q in %s", review.Printable(args[0], 80), file),
					State: "nothing was changed",
					Hint:  `"review-executor password list" shows those that are there`,
				}
			}
			if err != nil {
				return usersFailure(file, err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Removed user %s from %s\n", review.Printable(args[0], 200), file)
			if left == 0 {
				warn(cmd, "%s has no more users: nobody can log in with it", file)
			}
			return applyUsers(cmd, s, fmt.Sprintf("user %q is removed", args[0]))
		},
	}
}

func newPasswordList(project *string) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			_, file, err := usersFile(cmd, *project)
			if err != nil {
				return err
			}
			users, err := apache.Users(file)
			if err != nil {
				return usersFailure(file, err)
			}
			return listUsers(cmd, file, users, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT` of the list: text or json")
	completeWith(cmd, "output", "text", "json")
	return cmd
}

func listUsers(cmd *cobra.Command, file string, users []string, output string) error {
	if output == "json" {
		return writeJSON(cmd.OutOrStdout(), append([]string{}, users...))
	}
	if len(users) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "No users in %s\n", file)
	}
	for _, user := range users {
		fmt.Fprintln(cmd.OutOrStdout(), review.Printable(user, 300))
	}
	return nil
}

// usersFile is the file that is meant. It warns when Apache does not ask it.
func usersFile(cmd *cobra.Command, project string) (s Settings, file string, err error) {
	if s, err = settingsOf(cmd); err != nil {
		return s, "", err
	}
	if s.Apache.Login != apache.LoginPassword {
		warn(cmd, "apache.login is %q: passwords are not asked for", s.Apache.Login)
	}
	if project == "" {
		return s, s.Apache.Htpasswd, nil
	}
	for _, p := range s.Projects {
		if p.Path == project && p.Htpasswd != "" {
			return s, p.Htpasswd, nil
		}
	}
	return s, "", &review.Failure{
		What:  fmt.Sprintf("project %s has no users of its own", review.Printable(project, 200)),
		State: "nothing was changed",
		Hint:  "set htpasswd under its [[projects]] in the configuration",
	}
}

// applyUsers makes logins that were remembered before the change worth nothing.
func applyUsers(cmd *cobra.Command, s Settings, done string) error {
	refused, err := applyFront(cmd, s)
	if err == nil && len(refused) == 0 {
		return nil
	}
	state := done + ", which Apache heeds for every new login; who is logged in stays so until the virtual hosts are brought to date"
	if err == nil {
		apps := slices.Sorted(maps.Keys(refused))
		err = fmt.Errorf("these were refused: %s", strings.Join(apps, ", "))
	}
	return &review.Failure{What: "Apache's virtual hosts could not be brought to date", Cause: err, State: state, Hint: `mend it, then run "review-executor front", as the user to whom the state belongs`}
}

func usersFailure(file string, err error) error {
	return &review.Failure{
		What:  "the users in " + file + " could not be read or changed",
		Cause: err,
		State: "nothing was changed",
		Hint:  "run it as the user to whom the file and its directory belong",
	}
}

func warn(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), "WARNING: "+format+"\n", args...)
}

// userNames completes USER.
func userNames(project *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		_, file, err := usersFile(cmd, *project)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		users, _ := apache.Users(file)
		return users, cobra.ShellCompDirectiveNoFileComp
	}
}

// projectsWithUsers are those that have a file of their own.
func projectsWithUsers(cmd *cobra.Command) []string {
	s, err := settingsOf(cmd)
	if err != nil {
		return nil
	}
	var paths []string
	for _, p := range s.Projects {
		if p.Htpasswd != "" {
			paths = append(paths, p.Path)
		}
	}
	return paths
}
