package apache

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// tickets are what the gate gives to who has logged in: one value for each host and
// day, which nobody can guess who has not the key, and which is another one as soon
// as the users of the host are.
type tickets struct {
	key   []byte
	day   time.Time
	users string            // the users of all hosts, in one number
	own   map[string]string // digests by file
}

const keyBytes = 32

// newTickets reads the key, and makes one on a new host.
func newTickets(cfg Config, now time.Time) (tickets, error) {
	t := tickets{day: now.UTC().Truncate(24 * time.Hour), users: digest(cfg.Htpasswd) + digest(cfg.LoginConfig), own: map[string]string{}}
	file := filepath.Join(cfg.VhostDir, ".ticket-key")
	key, err := os.ReadFile(file)
	if err == nil && len(key) == keyBytes {
		t.key = key
		return t, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, fmt.Errorf("key of the tickets: %w", err)
	}
	t.key = make([]byte, keyBytes)
	if _, err := rand.Read(t.key); err != nil {
		return t, err
	}
	if err := renameio.WriteFile(file, t.key, 0o600); err != nil {
		return t, fmt.Errorf("key of the tickets: %w", err)
	}
	return t, nil
}

// of returns the host's ticket of today and that of yesterday. own is the file of
// users that the host has beside those of all.
func (t tickets) of(host, own string) (today, yesterday string) {
	if t.own[own] == "" {
		t.own[own] = digest(own)
	}
	ticket := func(day time.Time) string {
		mac := hmac.New(sha256.New, t.key)
		fmt.Fprintf(mac, "%s %s %s %s", host, day.Format(time.DateOnly), t.users, t.own[own])
		return hex.EncodeToString(mac.Sum(nil)[:20])
	}
	return ticket(t.day), ticket(t.day.AddDate(0, 0, -1))
}

// digest is of a file's content, or as much as may be known of one that we may not
// read; of none it is "-".
func digest(file string) string {
	if file == "" {
		return "-"
	}
	data, err := os.ReadFile(file)
	if info, statErr := os.Stat(file); err != nil && statErr == nil {
		data = fmt.Appendf(nil, "%d %s", info.Size(), info.ModTime())
	} else if err != nil {
		return "-"
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
