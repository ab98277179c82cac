package main

import (
	"context"

	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/review"
)

// asker is GitLab as apps and jobs ask it.
type asker interface {
	review.Forge
	executor.Members
}

// newAsker is nil if no GitLab is configured. With a token that cannot be used every
// question fails, and nothing else: apps are restored and stopped, and jobs run.
func newAsker(s Settings) asker {
	forge, err := newForge(s)
	switch {
	case err != nil:
		return mute{err}
	case forge == nil:
		return nil
	}
	return forge
}

// mute is a GitLab that cannot be asked.
type mute struct{ why error }

func (m mute) Survey(context.Context, review.Query) (review.Survey, error) {
	return review.Survey{}, m.why
}
func (m mute) StopEnvironment(context.Context, int64, string) error     { return m.why }
func (m mute) Note(context.Context, int64, int64, string, string) error { return m.why }
func (m mute) AccessLevel(context.Context, int64, int64) (int, error)   { return 0, m.why }
func (m mute) JobUser(context.Context, int64, int64) (int64, error)     { return 0, m.why }
