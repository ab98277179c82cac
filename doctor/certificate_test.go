package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCertificate_IsReadByWhoChecksIt: on a host without the front's unit that is the runner's user.
func TestCertificate_IsReadByWhoChecksIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can ask for another user")
	}
	top, err := os.MkdirTemp("/var/tmp", "review-tls.") // others may reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(top, "private")
	if err := os.Mkdir(private, 0o710); err != nil {
		t.Fatal(err)
	}
	tls := TLS{Certificate: filepath.Join(top, "review.pem"), Key: filepath.Join(private, "review.key"), Warnings: func() []string { return nil }}
	for file, mode := range map[string]os.FileMode{tls.Certificate: 0o644, tls.Key: 0o600} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	h := Host{User: User{Name: "nobody", UID: 65534, GID: 65534}}
	if got := h.Certificate(tls)(t.Context()); got[0].Level != OK {
		t.Errorf("the front's unit reads the key: %+v", got)
	}
	tls.Shared = true
	got := h.Certificate(tls)(t.Context())
	if len(got) != 1 || got[0].Level != Fail || !strings.Contains(got[0].Seen, "nobody may not read "+tls.Key) {
		t.Fatalf("%+v", got)
	}
	if out, err := exec.Command("sh", "-ec", strings.Join(got[0].Mend, "\n")).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if got := h.Certificate(tls)(t.Context()); got[0].Level != OK {
		t.Errorf("mended: %+v", got)
	}
}
