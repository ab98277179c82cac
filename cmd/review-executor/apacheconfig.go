package main

import (
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/review"
)

func newApacheConfig() *cobra.Command {
	var (
		template bool
		file     string
	)
	cmd := &cobra.Command{
		Use:     "apache-config",
		GroupID: "admin",
		Short:   "Print the configuration that Apache needs",
		Long: `apache-config prints what Apache needs beside the virtual hosts: modules, ports,
limits, the format of the log, and the directory from which it includes the
virtual hosts. On Debian it goes to conf-available, and a2enconf enables it.

--write replaces a file with it, at once and only if the configuration is right,
where a shell's redirection would leave that file empty.

--template prints the built-in template of an app's virtual host instead. A
changed copy takes its place once apache.vhost_template names it.`,
		Example: `  sudo review-executor apache-config --write /etc/apache2/conf-available/review-executor.conf
  review-executor apache-config --template >vhost.conf.tmpl`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := apacheConfig(cmd, template)
			if err != nil {
				return err
			}
			if file == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			if err := renameio.WriteFile(file, text, 0o644, renameio.WithStaticPermissions(0o644)); err != nil {
				return &review.Failure{What: file + " could not be written", Cause: err, State: "nothing was changed"}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "write", "", "replace `FILE` with it, and print nothing")
	cmd.Flags().BoolVar(&template, "template", false, "print the template of an app's virtual host")
	return cmd
}

// apacheConfig is what Apache needs, or the template.
func apacheConfig(cmd *cobra.Command, template bool) ([]byte, error) {
	if template {
		text, err := apache.VhostTemplate()
		return []byte(text), err
	}
	s, err := settingsOf(cmd)
	if err != nil {
		return nil, err
	}
	return apache.BaseConfig(s.Apache, s.Domain)
}
