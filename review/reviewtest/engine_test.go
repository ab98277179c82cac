package reviewtest_test

import (
	"testing"

	"gitlab.com/review-executor/review-executor/review/reviewtest"
)

func TestEngine_Contract(t *testing.T) {
	engine := reviewtest.NewEngine(t)
	reviewtest.Containers(t, reviewtest.Subject{
		Containers: engine,
		Crash:      func(testing.TB, string) { engine.Crash() },
		Inventory:  func(testing.TB) []string { return engine.Inventory() },
		Base:       reviewtest.Base,
	})
}
