package review_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

func TestFailure_TextGolden(t *testing.T) {
	var b strings.Builder
	for _, f := range []*review.Failure{
		{
			Kind:  review.Build,
			What:  `review app "shop-login" ended before it was healthy`,
			Lines: []string{"its container exited with code 1; its last lines:", "| DATABASE_URL is not set"},
			State: "the version of 3f2c1a9 is still serving",
			Hint:  `set REVIEW_ENV_DATABASE_URL under "variables:" in this job`,
		},
		{What: "Podman does not answer", Cause: errors.New("connect: no such file or directory\n")},
		{What: "several things\nsecond\nthird", Cause: errors.Join(errors.New("one"), errors.New("two")), Hint: "none"},
		{
			What:  "\x1b[31mred\x1b[0m",
			Cause: errors.New("\rover\x07 \u202egnp.exe \xff\n\x1b]0;title\x07"),
			Lines: []string{"section_end:1:x\r\x1b[0K"},
			State: "\x00", Hint: "a\nb",
		},
		{What: strings.Repeat("é", 501), Lines: []string{strings.Repeat("x", 500), ""}},
		{What: "alone"},
	} {
		b.WriteString(f.Text())
	}
	golden(t, "failure", b.String())
}

func TestFailure_IsFoundBelowOtherErrors(t *testing.T) {
	cause := errors.New("exit status 7")
	f := &review.Failure{Kind: review.Build, What: "Containerfile does not build", Cause: cause}
	err := fmt.Errorf("deploy: %w", f)
	if got := review.AsFailure(err); got != f {
		t.Errorf("found %+v", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if want := "deploy: Containerfile does not build: exit status 7"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if got := review.AsFailure(cause); got.Kind != review.System || got.Text() != "ERROR: exit status 7\n" {
		t.Errorf("an error of any kind is %+v", got)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, é and 日本":  "plain text, é and 日本",
		"\x1b[2J\x1b[31mred":    "?[2J?[31mred",
		"a\nb\rc\td\x00":        "a?b?c?d?",
		"\x9b31m":               "?31m",
		"\u009b31m\u0085":       "?31m?",
		"\u202egnp.exe\u200b":   "?gnp.exe?",
		"\xff\xc3(":             "??(",
		"12345678901234567890":  "12345678901234567890",
		"123456789012345678901": "12345678901234567890…",
		strings.Repeat("é", 21): strings.Repeat("é", 20) + "…",
		"":                      "",
	} {
		if got := review.Printable(in, 20); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
