package review_test

import (
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

// FuzzLabel: a label is always a host label. Two environments of a project
// share one only if their names are the same but for a leading review/. (Or
// if one was named after the other's hash on purpose, which no fuzzing finds.)
func FuzzLabel(f *testing.F) {
	f.Add(int64(42), "group/shop", "{environment}.{domain}", "review/login-form", "login-form")
	f.Add(int64(42), "group/shop", "{environment}-{project}.{domain}", "review/Login", "review/login")
	f.Add(int64(0), "", "{environment}--{project}.{domain}", "review/", "app")
	f.Add(int64(-1), "xn", "{project}--{environment}.{domain}", "review/___", "a")
	f.Add(int64(1), "p", "{environment}{environment}.{domain}", strings.Repeat("a", 255), strings.Repeat("a", 254))
	f.Add(int64(1), strings.Repeat("p", 60), "{environment}-{project}.{domain}", "aaaaaaaaaa", "aaaaaaaaab")
	f.Fuzz(func(t *testing.T, id int64, project, pattern, one, two string) {
		hostname := review.Hostname(pattern)
		first, err := hostname.Label(id, project, one)
		if err != nil {
			return
		}
		if err := review.CheckLabel(first); err != nil || len(first) > 63 {
			t.Fatalf("%q of %q: %v", one, pattern, err)
		}
		if again, err := hostname.Label(id, project, one); err != nil || again != first {
			t.Fatalf("%q of %q is %s and then %s, %v", one, pattern, first, again, err)
		}
		second, err := hostname.Label(id, project, two)
		if err != nil || hostname.Check() != nil || first != second {
			return
		}
		if strings.TrimPrefix(one, "review/") != strings.TrimPrefix(two, "review/") {
			t.Errorf("%q and %q of %q are both %s", one, two, pattern, first)
		}
	})
}
