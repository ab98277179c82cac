package review_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// TestDeploy_FailureAtEveryStepLeavesTheVersionBeforeServing lets every
// operation fail once.
func TestDeploy_FailureAtEveryStepLeavesTheVersionBeforeServing(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	all := w.operations(2, "two")
	published := slices.Index(all, "front Serves")
	for n, op := range all {
		t.Run(fmt.Sprintf("%02d %s", n, op), func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			w.failAt(n, func() error { return errors.New("out of luck") })
			err := w.deploy(2, "two")
			if n > published { // too late to fail
				if err != nil {
					t.Error(err)
				}
				w.serves("login", "two")
				w.recovers()
				return
			}
			fails(t, err, review.System, "out of luck", "the version of 1111111 is still serving")
			w.isBack()
		})
	}
}

// failAt lets the operation after n others fail with what fail returns.
func (w *world) failAt(n int, fail func() error) {
	count := -1
	w.fault = func(string) error {
		if count++; count == n {
			return fail()
		}
		return nil
	}
}

// TestDeploy_CancelledJobIsUndone at every step.
func TestDeploy_CancelledJobIsUndone(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	all := w.operations(2, "two")
	published := slices.Index(all, "front Serves")
	for n, op := range all {
		t.Run(fmt.Sprintf("%02d %s", n, op), func(t *testing.T) {
			w := newWorld(t)
			w.deployed(1, "one")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.failAt(n, func() error { cancel(); return nil })
			_, err := w.Deploy(ctx, w.job(2, site("two")))
			if n > published {
				if err != nil {
					t.Error(err)
				}
				w.serves("login", "two")
				w.recovers()
				return
			}
			fails(t, err, review.System, `the deploy of review app "login" was cancelled`, "the version of 1111111 is still serving")
			w.isBack()
		})
	}
}

// TestDeploy_HostAnswersWhateverGoesDownForGood lets everything fail from a
// step on: the engine, the front or both. Visitors of the app notice nothing.
func TestDeploy_HostAnswersWhateverGoesDownForGood(t *testing.T) {
	w := newWorld(t)
	w.deployed(1, "one")
	all := w.operations(2, "two")
	for what, goesDown := range map[string]func(op string) bool{
		"the engine": func(op string) bool { return !strings.Contains(op, " ") },
		"the front":  func(op string) bool { return strings.HasPrefix(op, "front ") },
		"both":       func(string) bool { return true },
	} {
		for n, op := range all {
			t.Run(fmt.Sprintf("%s %02d %s", what, n, op), func(t *testing.T) {
				w := newWorld(t)
				w.deployed(1, "one")
				count := -1
				w.fault = func(op string) error {
					if count++; count >= n && goesDown(op) {
						return errors.New("down for good")
					}
					return nil
				}
				err := w.deploy(2, "two")
				w.fault = nil
				page := w.front.Get("login.review.example.org")
				if page != "two" && (page != "one" || err == nil) {
					t.Errorf("it serves %q after %v", page, err)
				}
				w.recovers()
			})
		}
	}
}
