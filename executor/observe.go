package executor

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/review-executor/review-executor/review"
)

// Observe runs a stage and tells the operator how it went.
func (e *Executor) Observe(stage string, run func() error) error {
	start := time.Now()
	err := run()
	fields := logrus.Fields{"stage": stage, "duration": time.Since(start).Round(time.Millisecond).String(), "outcome": outcome(err)}
	if job, jobErr := e.job(); jobErr == nil {
		fields["job"], fields["project"] = job.ID, job.Project
		if app, appErr := e.Apps.App(e.request(job, review.Settings{})); appErr == nil && e.reviews(job) {
			fields["app"] = app.Name
		}
	}
	if err != nil {
		fields[logrus.ErrorKey] = err
	}
	e.Operator.WithFields(fields).Infof("stage %s: %s", stage, fields["outcome"])
	return err
}

func outcome(err error) string {
	var script *ScriptError
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &script) || review.AsFailure(err).Kind == review.Build:
		return "build failure"
	}
	return "system failure"
}
