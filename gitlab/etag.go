package gitlab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// What is kept of answers, at most.
const (
	maxPages     = 2000
	maxPageBytes = 64 << 20
	// trimEvery is how many are written before their number is looked at again.
	trimEvery = 64
)

// etags keeps answers by owner and URL, so that GitLab need not send again what
// has not changed. A lost or damaged one is asked for anew. A nil one keeps
// nothing. Whatever cannot be written is not kept, and that is all.
type etags struct {
	dir   string
	owner string // whose answers they are: of one GitLab and one token

	mu      sync.Mutex
	written int
}

// page is an answer that is kept.
type page struct {
	ETag   string      `json:"etag"`
	Header http.Header `json:"header"` // of headersKept
	Sum    string      `json:"sum"`    // SHA-256 of the body
	body   []byte
}

// headersKept are those of pagination, and what the body is.
var headersKept = []string{"Content-Type", "Link", "X-Next-Page", "X-Page", "X-Per-Page", "X-Prev-Page", "X-Total", "X-Total-Pages"}

func (e *etags) file(req *http.Request) string {
	sum := sha256.Sum256([]byte(e.owner + " " + req.URL.String()))
	return filepath.Join(e.dir, hex.EncodeToString(sum[:]))
}

// load returns the page for the request, or nil.
func (e *etags) load(req *http.Request) *page {
	if e == nil || req.Method != http.MethodGet {
		return nil
	}
	data, err := os.ReadFile(e.file(req))
	if err != nil {
		return nil
	}
	head, body, _ := bytes.Cut(data, []byte("\n"))
	p := &page{body: body}
	if json.Unmarshal(head, p) != nil || p.ETag == "" || p.Sum != sumOf(body) {
		return nil
	}
	return p
}

// save keeps the answer if it has an ETag. An empty list is as cheap as a 304, and the
// one that should not be believed for long if something between GitLab and us made it.
func (e *etags) save(req *http.Request, resp *http.Response, body []byte) {
	etag := resp.Header.Get("ETag")
	if e == nil || req.Method != http.MethodGet || resp.StatusCode != http.StatusOK || etag == "" || string(bytes.TrimSpace(body)) == "[]" {
		return
	}
	p := page{ETag: etag, Header: http.Header{}, Sum: sumOf(body)}
	for _, name := range headersKept {
		if values := resp.Header.Values(name); values != nil {
			p.Header[name] = values
		}
	}
	head, err := json.Marshal(p)
	if err != nil || os.MkdirAll(e.dir, 0o700) != nil {
		return
	}
	data := slices.Concat(head, []byte("\n"), body)
	if renameio.WriteFile(e.file(req), data, 0o600) == nil {
		e.trim()
	}
}

// touch notes that the request's page is of use.
func (e *etags) touch(req *http.Request) {
	now := time.Now()
	_ = os.Chtimes(e.file(req), now, now) // it may just have been trimmed
}

// trim removes the pages that have been of no use for longest, when there are too many.
func (e *etags) trim() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written++
	if e.written%trimEvery == 1 {
		trim(e.dir, maxPages, maxPageBytes)
	}
}

func trim(dir string, files int, size int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for i, info := range infos {
		if size -= info.Size(); i >= files || size < 0 {
			os.RemoveAll(filepath.Join(dir, info.Name()))
		}
	}
}

// revive makes GitLab's 304 the answer that is kept. What the 304 says of its own
// pages counts more than what was kept.
func (p *page) revive(resp *http.Response) []byte {
	header := maps.Clone(p.Header)
	for name, values := range resp.Header {
		if name != "Content-Type" { // of no body
			header[name] = values
		}
	}
	resp.Header = header
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	return p.body
}

// mayHaveGrown tells of a full last page whose 304 says nothing of a next one:
// its own items are unchanged, but there may be more behind them now.
func (p *page) mayHaveGrown(header http.Header) bool {
	if header.Values("X-Total") != nil || header.Values("X-Next-Page") != nil || header.Values("Link") != nil {
		return false
	}
	if p.Header.Get("X-Next-Page") != "" || strings.Contains(p.Header.Get("Link"), `rel="next"`) {
		return false
	}
	perPage, err := strconv.Atoi(p.Header.Get("X-Per-Page"))
	if err != nil {
		perPage = perRequest
	}
	return items(p.body) >= perPage
}

// items counts those of a list; an object has none.
func items(body []byte) int {
	var list []json.RawMessage
	if json.NewDecoder(bytes.NewReader(body)).Decode(&list) != nil {
		return 0
	}
	return len(list)
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
