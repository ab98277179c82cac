package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestRan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "front.json")
	now := time.Now()
	a := Apache{Host: Host{ConfigFile: DefaultConfigFile, Program: "review-executor", User: User{Name: "root"}, Now: now}, FrontUnit: "front.service"}
	damaged := map[string]error{}
	look := func(text string, ago time.Duration) []Finding {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.Add(-ago), now.Add(-ago)); err != nil {
			t.Fatal(err)
		}
		return a.Ran(file, func() (int, map[string]error, error) { return 0, damaged, nil })(t.Context())
	}
	sees(t, a.Ran(file, nil)(t.Context()), OK, "has not run yet")
	sees(t, look(`{"begun":3,"done":3}`, time.Minute), OK, "1m0s ago and refused nothing")
	sees(t, look(`{"begun":3,"done":2}`, time.Minute), OK, "a run began 1m0s ago")
	sees(t, look(`{"begun":3,"done":2,"failure":{"what":"of an earlier one"}}`, time.Hour), Fail, "began 1h0m0s ago has not told")
	failed := look(`{"begun":3,"done":3,"failure":{"what":"Apache refuses","lines":["AH00526: Nonsense"]}}`, 0)
	sees(t, failed, Fail, "Apache refuses; AH00526: Nonsense")
	if !slices.Equal(failed[0].Mend, []string{"systemctl start front.service"}) {
		t.Errorf("%q", failed[0].Mend)
	}
	sees(t, look(`nonsense`, 0), Fail, "cannot be read")

	const two = `{"begun":3,"done":3,"refused":{"login":"host x is not y","$(id)":"no name","shop":"no sense"}}`
	found := look(two, time.Minute)
	sees(t, found, Fail, "refused login, which is as it was before: host x is not y")
	if len(found) != 2 || !found[0].ByHand || !slices.Contains(found[0].Mend, "review-executor stop --yes login") {
		t.Errorf("%+v", found)
	}
	damaged["login"], damaged["shop"] = errors.New("damaged"), errors.New("damaged")
	sees(t, look(two, 0), OK, "refused nothing")
}
