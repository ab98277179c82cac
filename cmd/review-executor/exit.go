package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"gitlab.com/review-executor/review-executor/doctor"
	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/review"
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// exitCode tells err to whom it concerns and turns it into this process's exit
// code: it is the only place that does.
//
//	0  done
//	1  not done, and it is not the job's fault
//	2  wrong usage
//	3  doctor: nothing but warnings
//
// Called by gitlab-runner, the codes are those that it asks for: BUILD_FAILURE_EXIT_CODE
// for the job's fault, SYSTEM_FAILURE_EXIT_CODE for any other.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	var kind review.Kind
	var (
		script *executor.ScriptError
		usage  usageError
		seen   findings
	)
	switch {
	case errors.As(err, &seen) && seen.worst == doctor.Warn: // all is said
		return 3
	case errors.As(err, &seen):
		return 1
	case errors.As(err, &script): // its own output has said why
		kind = review.Build
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "error: %v\nhint: see \"review-executor --help\"\n", err)
		return fromEnv("SYSTEM_FAILURE_EXIT_CODE", 2)
	case errors.Is(err, context.Canceled): // by a signal; whoever sent it knows
		fmt.Fprintln(stderr, "Cancelled")
	default:
		failure := review.AsFailure(err)
		kind = failure.Kind
		fmt.Fprint(stderr, failure.Text())
	}
	if kind == review.Build {
		return fromEnv("BUILD_FAILURE_EXIT_CODE", 1)
	}
	return fromEnv("SYSTEM_FAILURE_EXIT_CODE", 1)
}

// fromEnv reads an exit code that the runner asks for.
func fromEnv(name string, otherwise int) int {
	code, err := strconv.Atoi(os.Getenv(name))
	if err != nil || code < 1 || code > 255 {
		return otherwise
	}
	return code
}
