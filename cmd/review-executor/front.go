package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newFront() *cobra.Command {
	var here bool
	cmd := &cobra.Command{
		Use:     "front",
		GroupID: "admin",
		Short:   "Bring Apache's virtual hosts to what the records say",
		Long: `front renders the virtual host of every recorded app, checks Apache's
configuration and reloads it once, if anything has changed. An app that Apache
refuses goes on as it was before, and the others are served.

Where the configuration names a unit that does this (apache.front_unit), front
starts it and waits; the unit itself runs "front --here".`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			var refused map[string]error
			if here && s.Apache.FrontUnit != "" {
				refused, err = runFront(cmd, s)
			} else {
				refused, err = applyFront(cmd, s)
			}
			if err != nil {
				return err
			}
			var problems []error
			for _, app := range slices.Sorted(maps.Keys(refused)) {
				problems = append(problems, fmt.Errorf("%s: %w", app, refused[app]))
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().BoolVar(&here, "here", false, "be the unit's run: do it in this process")
	return cmd
}

// applyFront brings the virtual hosts to date, by the unit if there is one. Then
// nothing of the state is written, and root may ask as well.
func applyFront(cmd *cobra.Command, s Settings) (refused map[string]error, err error) {
	if s.Apache.FrontUnit == "" {
		if err := checkOwner(s); err != nil {
			return nil, err
		}
	}
	return newLifecycle(s, nil, nil, operatorLog(cmd)).ApplyFront(cmd.Context())
}

// runFront is the unit's run.
func runFront(cmd *cobra.Command, s Settings) (refused map[string]error, err error) {
	config, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if err := checkTrust(s, configFile(config)); err != nil {
		return nil, err
	}
	if err := checkOwnerOf("Apache's virtual hosts", s.Apache.VhostDir); err != nil {
		return nil, err
	}
	return newLifecycle(s, nil, nil, operatorLog(cmd)).RunFront(cmd.Context(), s.Apache.Results())
}
