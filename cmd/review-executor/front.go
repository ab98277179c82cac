package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newFront() *cobra.Command {
	return &cobra.Command{
		Use:     "front",
		GroupID: "admin",
		Short:   "Bring Apache's virtual hosts to what the records say",
		Long: `front renders the virtual host of every recorded app, checks Apache's
configuration and reloads it once, if anything has changed. An app that Apache
refuses goes on as it was before, and the others are served.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			if err := checkOwner(s); err != nil {
				return err
			}
			refused, err := newLifecycle(s, nil, nil, operatorLog(cmd)).ApplyFront(cmd.Context())
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
}
