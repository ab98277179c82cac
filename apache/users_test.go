package apache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestUsers_SetAndRemoveAreWhatApacheSees(t *testing.T) {
	file := filepath.Join(host.Dir, "test-users")
	t.Cleanup(func() { os.Remove(file) })
	write(t, file, "# team\nann:x\n")
	server := gateOf(t, file)
	set(t, file, "bob", "first")
	set(t, file, "bob", "second")
	if got := login(t, server, "bob", "second"); got != http.StatusNotFound { // past the gate there is nothing
		t.Errorf("Apache answers %d to the new password", got)
	}
	if got := login(t, server, "bob", "first"); got != http.StatusUnauthorized {
		t.Errorf("Apache answers %d to the old password", got)
	}
	left, err := RemoveUser(t.Context(), file, "bob")
	if err != nil || left != 1 {
		t.Fatalf("%d left, %v", left, err)
	}
	if got := login(t, server, "bob", "second"); got != http.StatusUnauthorized {
		t.Errorf("Apache answers %d to a user who was removed", got)
	}
	if text, _ := os.ReadFile(file); string(text) != "# team\nann:x\n" {
		t.Errorf("the file is %q", text)
	}
	if _, err := RemoveUser(t.Context(), file, "bob"); !errors.Is(err, ErrNoUser) {
		t.Errorf("removed again: %v", err)
	}
}

func TestUsers_AtOnceLoseNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	var group sync.WaitGroup
	var want []string
	for i := range 8 {
		name := fmt.Sprintf("user%d", i)
		want = append(want, name)
		group.Go(func() {
			if _, err := SetUser(t.Context(), file, name, "secret"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	users, err := Users(file)
	slices.Sort(users)
	if err != nil || !slices.Equal(users, want) {
		t.Errorf("%v, %v", users, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 1 {
		t.Errorf("in the directory: %v", left)
	}
}

func TestUsers_OwnerModeAndLinkStay(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "users"), filepath.Join(dir, "link")
	write(t, file, "")
	if err := errors.Join(os.Chmod(file, 0o604), os.Symlink("users", link)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(file, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	before := stat(t, file)
	set(t, link, "bob", "secret")
	after := stat(t, file)
	if before.Mode != after.Mode || before.Uid != after.Uid || before.Gid != after.Gid {
		t.Errorf("mode %o of %d:%d became mode %o of %d:%d", before.Mode, before.Uid, before.Gid, after.Mode, after.Uid, after.Gid)
	}
	if to, err := os.Readlink(link); err != nil || to != "users" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

func TestUsers_NewFileIsApachesOrOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	open, err := SetUser(t.Context(), file, "bob", "secret")
	if err != nil {
		t.Fatal(err)
	}
	got := stat(t, file)
	mode, group := got.Mode&0o777, int(got.Gid)
	if os.Getuid() == 0 && apacheGroup() != -1 && (open || mode != 0o640 || group != apacheGroup()) {
		t.Errorf("mode %o of group %d, open: %v", mode, group, open)
	}
	if (mode == 0o644) != open {
		t.Errorf("mode %o, open: %v", mode, open)
	}
}

func TestUsers_WhatIsNoUserOrPasswordIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for _, c := range []struct{ name, password, why string }{
		{"", "secret", "is empty"},
		{"a:b", "secret", "colon"},
		{"#a", "secret", "comments"},
		{" a", "secret", "space"},
		{"a\nb", "secret", "cannot be printed"},
		{"a\xffb", "secret", "cannot be printed"},
		{strings.Repeat("é", 96), "secret", "192 bytes"},
		{"bob", "", "is empty"},
		{"bob", strings.Repeat("é", 37), "74 bytes, and bcrypt takes no more than 72"},
		{"bob", "a\x00b", "control character"},
	} {
		_, err := SetUser(t.Context(), file, c.name, c.password)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q with %q: %v", c.name, c.password, err)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file now")
	}
}

func TestUsers_CancelledWhileAnotherHasTheLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	ctx, cancel := context.WithCancel(t.Context())
	err := changeUsers(t.Context(), file, func(string, string) error {
		cancel()
		_, err := SetUser(ctx, file, "bob", "secret")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func set(t *testing.T, file, name, password string) {
	t.Helper()
	if _, err := SetUser(t.Context(), file, name, password); err != nil {
		t.Fatal(err)
	}
}

func stat(t *testing.T, file string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}
