package apache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// knows asks until a process of Apache's answers that remembers the password: then
// the file of users is not looked at.
func TestGate_RightPasswordIsRememberedForOneHostAlone(t *testing.T) {
	cfg := testConfig()
	users, err := os.ReadFile(cfg.Htpasswd)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Htpasswd = filepath.Join(host.Dir, "own-htpasswd")
	t.Cleanup(func() { os.Remove(cfg.Htpasswd) })
	if err := os.WriteFile(cfg.Htpasswd, users, 0o644); err != nil {
		t.Fatal(err)
	}
	f := newFront(t, cfg)
	login, cart := app(t, "login", "the app"), app(t, "cart", "the cart")
	login.PublicPaths = []string{"/hook"}
	apply(t, f, login, cart)
	for range 200 { // every process has been asked
		if got := visit(t, "GET", "login", "/", "Authorization", password); got.Status != 200 || !strings.Contains(got.Header.Get("Set-Cookie"), "review-ticket=") {
			t.Fatalf("%d %v", got.Status, got.Header)
		}
	}
	// Without the file, whoever is not remembered gets 500.
	if err := os.Remove(cfg.Htpasswd); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for range 50 {
		got := visit(t, "GET", "login", "/", "Authorization", password)
		if got.Status == 200 {
			passed++
			if !strings.Contains(got.Header.Get("Set-Cookie"), "review-ticket=") || strings.Contains(got.Body, "Authorization") {
				t.Errorf("%v %q", got.Header, got.Body)
			}
		}
		for _, c := range [][2]string{
			{"login", wrongPassword}, {"cart", password}, {"login", password + " "}, {"login", password + ", Basic x"}, {"login", "Basic " + password},
			{"login", "Basic ZGVtbzpkZW1vZA=="}, {"login", "Basic ZGVtbzo="}, {"login", ""},
		} {
			if got := visit(t, "GET", c[0], "/", "Authorization", c[1]); c[1] != password+" " && (got.Status != 401 && got.Status != 500 || got.Header.Get("Set-Cookie") != "") {
				t.Errorf("%s with %q: %d %v", c[0], c[1], got.Status, got.Header)
			}
		}
	}
	if passed == 0 {
		t.Error("no process remembered the password")
	}
	// What was sent to a public path was never looked at.
	for range 50 {
		visit(t, "GET", "login", "/hook", "Authorization", wrongPassword)
	}
	for range 50 {
		if got := visit(t, "GET", "login", "/", "Authorization", wrongPassword); got.Status == 200 {
			t.Fatal("a password that nobody has checked is remembered")
		}
	}
	// With other users, all is forgotten.
	if err := os.WriteFile(cfg.Htpasswd, []byte("other:x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	apply(t, f, login, cart)
	eventually(t, func() bool { return visit(t, "GET", "login", "/", "Authorization", password).Status == 401 })
	for range 50 {
		if got := visit(t, "GET", "login", "/", "Authorization", password); got.Status != 401 {
			t.Fatalf("a user who is gone: %d", got.Status)
		}
	}
}

func TestGate_ScriptThatApacheCannotReadIsLeftOut(t *testing.T) {
	cfg := testConfig()
	if !cfg.remembersPasswords() {
		t.Fatal("the test's own directory does not do")
	}
	dir := filepath.Join(host.Dir, "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg.VhostDir = filepath.Join(dir, "vhosts")
	if err := os.Mkdir(cfg.VhostDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if cfg.remembersPasswords() {
		t.Error("a directory of ours alone will do")
	}
}
