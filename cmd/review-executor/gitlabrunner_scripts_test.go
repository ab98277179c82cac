package main

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/internal/coordinatortest"
)

func TestGitLabRunner_EveryGitStrategy(t *testing.T) {
	c := newGitLab(t, map[string]string{"file": "of the repository\n"})
	for strategy, there := range map[string]string{"clone": "file", "fetch": "file", "none": "", "empty": ""} {
		c.Push(coordinatortest.Spec{Variables: []string{"GIT_STRATEGY=" + strategy}, Script: []string{`echo "there is <$(ls)>"`}}).
			Succeeded("there is <" + there + ">")
	}
}

func TestGitLabRunner_Submodules(t *testing.T) {
	c := newGitLab(t, map[string]string{"file": "of the repository\n"})
	// The submodule is the repository itself, by its other name.
	c.addSubmodule("theme", "../theme.git")
	c.Push(coordinatortest.Spec{Variables: []string{"GIT_SUBMODULE_STRATEGY=recursive", "GIT_SUBMODULE_DEPTH=1"}, Script: []string{"cat theme/file"}}).Succeeded("of the repository")
	c.Push(coordinatortest.Spec{Script: []string{`echo "in the submodule there is <$(ls theme)>"`}}).Succeeded("in the submodule there is <>")
}

// TestGitLabRunner_ImageOfAnyUser writes where the helper has, reads file
// variables, and uses git in what is not its own.
func TestGitLabRunner_ImageOfAnyUser(t *testing.T) {
	c := newGitLab(t, map[string]string{"file": "of the repository\n"})
	for _, user := range []string{"1000", "65534:65534"} {
		image := "localhost/review-test/user-" + strings.ReplaceAll(user, ":", "-")
		buildImage(t, image, "FROM localhost/review-demo/debian\nUSER "+user+"\n")
		c.Push(coordinatortest.Spec{
			Image: image, Variables: []string{"file:LOGIN=the secret\nof two lines"},
			Script: []string{`echo "I am $(id -u)"`, "cat $LOGIN", "echo mine >file", "mkdir dist", "git status --short", `echo "$CI_PROJECT_DIR.tmp is $(stat -c %a $CI_PROJECT_DIR.tmp)"`},
		}).Succeeded("I am "+strings.Split(user, ":")[0], "the secret", "of two lines", " M file")
	}
}

func TestGitLabRunner_DebugTraceShowsWhatRuns(t *testing.T) {
	c := newGitLab(t, nil)
	c.Push(coordinatortest.Spec{Variables: []string{"CI_DEBUG_TRACE=true"}, Script: []string{`echo "2 and 2 is $((2 + 2))"`}}).Succeeded("2 and 2 is 4", "++ echo")
}

func TestGitLabRunner_ServiceIsFoundByItsNames(t *testing.T) {
	c := newGitLab(t, nil)
	image := "localhost/review-test/greeter"
	buildImage(t, image, "FROM localhost/review-demo/busybox\nEXPOSE 8080\nCMD [\"sh\", \"-c\", \"while echo hello from $WHO | nc -l -p 8080; do :; done\"]\n")
	c.Push(coordinatortest.Spec{
		Services: []map[string]any{{"name": image, "alias": "greeter", "variables": []map[string]any{{"key": "WHO", "value": "$CI_PROJECT_PATH"}}}},
		Script:   []string{"cat </dev/tcp/greeter/8080", "getent hosts localhost__review-test__greeter"},
	}).Succeeded("is ready as localhost__review-test__greeter, localhost-review-test-greeter, greeter after", "hello from group/shop")
}
