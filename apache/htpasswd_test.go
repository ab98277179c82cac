package apache

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func TestWithUser_KeepsTheRestOfTheFile(t *testing.T) {
	for _, c := range []struct{ what, text, set, removed string }{
		{"empty", "", "bob:new\n", ""},
		{"added", "# team\n\nann:x\n", "# team\n\nann:x\nbob:new\n", "# team\n\nann:x\n"},
		{"replaced where it was", "ann:x\nbob:old\ncid:y", "ann:x\nbob:new\ncid:y", "ann:x\ncid:y"},
		{"twice", "bob:1\nann:x\nbob:2\n", "bob:new\nann:x\n", "ann:x\n"},
		{"no end of line", "ann:x", "ann:x\nbob:new\n", "ann:x"},
		{"Windows", "ann:x\r\nbob:1\r\n", "ann:x\r\nbob:new\n", "ann:x\r\n"},
		{"a comment of the user", "#bob:1\n", "#bob:1\nbob:new\n", "#bob:1\n"},
		{"without a password", "bob\n", "bob:new\n", ""},
		{"indented", " bob:1\n", "bob:new\n", ""},
		{"a comment that goes on", "# a\\\nbob:1\n", "# a\\\nbob:1\nbob:new\n", "# a\\\nbob:1\n"},
		{"an end that goes on", "# a\\\n", "# a\\\n\nbob:new\n", "# a\\\n"},
		{"an end that would go on", "# a\\", "# a\\\n\nbob:new\n", "# a\\"},
		{"another with the name in it", "bobby:1\nx:bob:2\n", "bobby:1\nx:bob:2\nbob:new\n", "bobby:1\nx:bob:2\n"},
	} {
		if got := withUser(c.text, "bob", "bob:new\n"); got != c.set {
			t.Errorf("%s: set makes %q, want %q", c.what, got, c.set)
		}
		if got := withUser(c.text, "bob", ""); got != c.removed {
			t.Errorf("%s: remove makes %q, want %q", c.what, got, c.removed)
		}
	}
}

// FuzzUser lets Apache and its htpasswd program be the judges: whatever name and
// password pass, in whatever file, they let in exactly this user.
func FuzzUser(f *testing.F) {
	for _, name := range []string{"bob", "", "ann", "a:b", "#bob", " bob", "bob ", "b ob", "bob\n", "bob\r", "b\x00b", "b\\", "\\", "é", "-x", "\"", "'", "<If>", "${HOME}", "%{x}", "\u00a0bob", "\u0085", "\u2028b", "\u202eb", strings.Repeat("x", longestUser), strings.Repeat("x", longestUser+1)} {
		f.Add("# team\nann:x\n", name, "secret")
	}
	for _, password := range []string{"", " ", "a b", "pass:word", "é", "日本", "\xff\xa3", "\x7f", "a\nb", "\x00", strings.Repeat("x", 72), strings.Repeat("x", 73), strings.Repeat("é", 36)} {
		f.Add("", "bob", password)
	}
	for _, text := range []string{"bob:1", "bob:1\nbob:2\n", "#\\\n", "#\\", "\\\nbob:1\n", "bo\\\nb:1\n", "bob\n", ":\n", "bob::1\n", "\r\n", "a:b\\", "\tbob:1"} {
		f.Add(text, "bob", "secret")
	}
	file := filepath.Join(host.Dir, "fuzzed-users") // Apache's children may read it
	f.Cleanup(func() { os.Remove(file) })
	server := gateOf(f, file)
	f.Fuzz(func(t *testing.T, text, name, password string) {
		if CheckUser(name) != nil || CheckPassword(password) != nil {
			return
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		changed := withUser(text, name, userLine(name, string(hash)))
		if n := count(usersOf(changed), name); n != 1 {
			t.Fatalf("%d users in %q", n, changed)
		}
		others := func(users []string) []string {
			return slices.DeleteFunc(users, func(u string) bool { return u == name })
		}
		if before, after := others(usersOf(text)), others(usersOf(changed)); !slices.Equal(before, after) {
			t.Fatalf("the others were %q and are %q", before, after)
		}
		if strings.Contains(text, "\x00") || len(text) > 4000 {
			return // no file of lines, to Apache
		}
		verify(t, file, server, changed, name, password)
		verifyGone(t, file, server, withUser(changed, name, ""), name, password)
	})
}

func count(users []string, name string) int {
	return len(slices.DeleteFunc(users, func(u string) bool { return u != name }))
}

func verify(t *testing.T, file, server, text, name, password string) {
	write(t, file, text)
	if got := login(t, server, name, password); got != http.StatusNotFound { // past the gate there is nothing
		t.Fatalf("Apache answers %d to %q with %q in %q", got, name, password, text)
	}
	if got := login(t, server, name, password+"x"); got != http.StatusUnauthorized && len(password) < 72 {
		t.Fatalf("Apache answers %d to %q with a wrong password in %q", got, name, text)
	}
	// That program reads lines of 255 bytes, and knows none that goes on.
	line := text[strings.LastIndex("\n"+text, "\n"+name+":"):]
	write(t, file, line)
	cmd := exec.Command("htpasswd", "-vi", file, name)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("htpasswd: %v: %s: %q with %q in %q", err, out, name, password, line)
	}
}

func verifyGone(t *testing.T, file, server, text, name, password string) {
	write(t, file, text)
	if got := login(t, server, name, password); got != http.StatusUnauthorized {
		t.Fatalf("Apache answers %d to %q, who was removed from %q", got, name, text)
	}
}

// login returns the status of a request with this name and password.
func login(t *testing.T, server, name, password string) int {
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+host.Port+"/none", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	return host.Do(t, req, server, false).Status
}

// gateOf is a virtual host of the test's Apache that lets in the file's users.
func gateOf(t testing.TB, file string) (server string) {
	server = "users.invalid"
	vhost := filepath.Join(host.Dir, "vhosts", "50-users.conf")
	write(t, vhost, fmt.Sprintf("<VirtualHost 127.0.0.1:%s>\nServerName %s\n<Location \"/\">\nAuthType Basic\nAuthName x\nAuthBasicProvider file\nAuthUserFile %q\nRequire valid-user\n</Location>\n</VirtualHost>\n", host.Port, server, file))
	reload := func() {
		if out, err := exec.Command(filepath.Join(host.Dir, "apache.sh"), "-k", "graceful").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	reload()
	t.Cleanup(func() {
		os.Remove(vhost)
		reload()
	})
	waitFor(t, server)
	return server
}

// waitFor returns once Apache has the virtual host, whose gate answers 401.
func waitFor(t testing.TB, server string) {
	for range 200 {
		if host.Get(t, server, "/none", false).Status == http.StatusUnauthorized {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("Apache has not taken the virtual host")
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
