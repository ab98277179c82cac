package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
)

func newApacheConfig() *cobra.Command {
	var template bool
	cmd := &cobra.Command{
		Use:     "apache-config",
		GroupID: "admin",
		Short:   "Print the configuration that Apache needs",
		Long: `apache-config prints what Apache needs beside the virtual hosts: modules, ports,
limits, the format of the log, and the directory from which it includes the
virtual hosts. On Debian it goes to conf-available, and a2enconf enables it.

--template prints the built-in template of an app's virtual host instead. A
changed copy takes its place once apache.vhost_template names it.`,
		Example: `  review-executor apache-config | sudo tee /etc/apache2/conf-available/review-executor.conf
  review-executor apache-config --template >vhost.conf.tmpl`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if template {
				text, err := apache.VhostTemplate()
				fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			config, err := apache.BaseConfig(s.Apache, s.Domain)
			fmt.Fprintf(cmd.OutOrStdout(), "%s", config)
			return err
		},
	}
	cmd.Flags().BoolVar(&template, "template", false, "print the template of an app's virtual host")
	return cmd
}
