package podman

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"gitlab.com/review-executor/review-executor/review"
)

// Space tells what the host has left. See review.Insight. A Podman whose store is not
// on this host tells nothing.
func (p *Podman) Space(ctx context.Context) (review.Space, error) {
	space := review.Space{Disk: -1, Memory: availableMemory()}
	root, err := p.store(ctx)
	if err != nil {
		return space, err
	}
	var fs unix.Statfs_t
	if unix.Statfs(root, &fs) == nil {
		space.Disk = review.Bytes(fs.Bavail) * review.Bytes(fs.Bsize) //nolint:gosec // no disk is that large
	}
	return space, nil
}

// known is the content of StoreFile.
type known struct {
	Socket string `json:"socket"`
	Store  string `json:"store"`
}

// store is the directory of Podman's store. Podman takes a third of a second to tell it,
// so the answer is kept in StoreFile for as long as the directory is there.
func (p *Podman) store(ctx context.Context) (string, error) {
	var k known
	if data, err := os.ReadFile(p.StoreFile); err == nil && json.Unmarshal(data, &k) == nil && k.Socket == p.socket && filepath.IsAbs(k.Store) {
		if _, err := os.Stat(filepath.Join(k.Store, "overlay-images")); err == nil {
			return k.Store, nil
		}
	}
	info, err := system.Info(p.call(ctx), nil)
	if err != nil {
		return "", p.explain(err, "ask where Podman's store is")
	}
	k = known{Socket: p.socket, Store: info.Store.GraphRoot}
	if data, err := json.Marshal(k); err == nil && p.StoreFile != "" {
		_ = renameio.WriteFile(p.StoreFile, data, 0o640) // asked again next time
	}
	return k.Store, nil
}

// availableMemory is what programs can have before the kernel begins to swap; -1: this
// system does not tell.
func availableMemory() review.Bytes {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return -1
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if value, is := strings.CutPrefix(lines.Text(), "MemAvailable:"); is {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err != nil {
				return -1
			}
			return review.Bytes(kib) << 10
		}
	}
	return -1
}
