package apache

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// TestStream_EventsArriveOneByOne has each event sent only after the one before was seen.
func TestStream_EventsArriveOneByOne(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	seen := make(chan bool)
	apply(t, f.Front, answers(t, "events", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
	}))
	mine := f.ticket(t, "events")
	for _, h2 := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		resp, err := f.client(t, h2).Do(f.request(t, "GET", "events", "/events", nil, "Cookie", mine, "Accept-Encoding", "gzip").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if (resp.ProtoMajor == 2) != h2 {
			t.Fatalf("it came over %s", resp.Proto)
		}
		reader := bufio.NewReader(resp.Body)
		for i := range 5 {
			if line, err := reader.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%s: %q, %v", resp.Proto, line, err)
			}
			_, _ = reader.ReadString('\n')
			seen <- true
		}
		resp.Body.Close()
		cancel()
	}
}

// zeros are so many bytes.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func TestStream_UploadOfAGigabyteIsNotHeldInMemory(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	const size = 1 << 30
	var most atomic.Int64
	apply(t, f.Front, answers(t, "uploads", func(w http.ResponseWriter, r *http.Request) {
		var got int64
		for {
			n, err := io.CopyN(io.Discard, r.Body, 64<<20)
			got += n
			most.Store(max(most.Load(), memoryOfApache(t)))
			if err != nil {
				break
			}
		}
		fmt.Fprintf(w, "%d of %d", got, r.ContentLength)
	}))
	mine := f.ticket(t, "uploads")
	before := memoryOfApache(t)
	for _, c := range []struct {
		name string
		h2   bool
		size int64
	}{{"with a length", false, size}, {"in chunks", false, -1}, {"HTTP/2", true, size}} {
		req := f.request(t, "POST", "uploads", "/", struct{ io.Reader }{&zeros{size}}, "Cookie", mine)
		req.ContentLength = c.size
		resp, err := f.client(t, c.h2).Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("%d of %d", size, c.size); string(body) != want {
			t.Errorf("%s: %s %q, want %q", c.name, resp.Status, body, want)
		}
	}
	if more := most.Load() - before; more > size/4 {
		t.Errorf("Apache took %d MB more for it", more>>20)
	}
	if left, _ := filepath.Glob("/tmp/modproxy.tmp.*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// memoryOfApache is that of the largest process of the test's Apache: how many there
// are depends on what was before.
func memoryOfApache(t testing.TB) (bytes int64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(host.Dir, "apache", "pid"))
	if err != nil {
		t.Error(err)
	}
	parent, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	processes, err := procfs.AllProcs()
	if err != nil {
		t.Error(err)
	}
	for _, process := range processes {
		stat, err := process.Stat()
		if err == nil && (process.PID == parent || stat.PPID == parent) {
			bytes = max(bytes, int64(stat.ResidentMemory()))
		}
	}
	return bytes
}

func TestStream_UploadThatIsTooLargeIsRefused(t *testing.T) {
	f := newSecureFront(t, func(c *Config) { c.MaxUpload = 1 << 20 })
	var got atomic.Int64
	apply(t, f.Front, answers(t, "uploads", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Store(max(got.Load(), n))
	}))
	mine := f.ticket(t, "uploads")
	for _, h2 := range []bool{false, true} {
		for size, want := range map[int64]int{1 << 20: 200, 1<<20 + 1: 413, 8 << 20: 413} {
			req := f.request(t, "POST", "uploads", "/", struct{ io.Reader }{&zeros{size}}, "Cookie", mine, "Expect", "100-continue")
			req.ContentLength = size
			resp, err := f.client(t, h2).Do(req)
			if err != nil {
				t.Errorf("%d bytes, HTTP/2 %v: %v", size, h2, err)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want || want == 413 && !strings.Contains(string(body), "uploads of up to 1.0MiB") {
				t.Errorf("%d bytes, HTTP/2 %v: %s\n%s", size, h2, resp.Status, body)
			}
		}
	}
	if got.Load() > 1<<20 {
		t.Errorf("the app got %d bytes", got.Load())
	}
}

// TestStream_BodyArrivesAsItIsSent has each byte sent only after the app has the one
// before, except the first 16 KiB, for which Apache waits, so that a small body has a length.
func TestStream_BodyArrivesAsItIsSent(t *testing.T) {
	f := newSecureFront(t, func(*Config) {})
	const start = 32 << 10
	arrived := make(chan bool, 100)
	apply(t, f.Front, answers(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		var all bytes.Buffer
		for one := make([]byte, 1); ; {
			n, err := r.Body.Read(one)
			all.Write(one[:n])
			if all.Len() > start {
				arrived <- true
			}
			if err != nil {
				break
			}
		}
		fmt.Fprint(w, all.String())
	}))
	mine := f.ticket(t, "slow")
	for _, h2 := range []bool{false, true} {
		body, send := io.Pipe()
		go func() {
			fmt.Fprint(send, strings.Repeat("x", start))
			for _, c := range "slowly" {
				fmt.Fprint(send, string(c))
				select {
				case <-arrived:
				case <-time.After(20 * time.Second):
					send.CloseWithError(fmt.Errorf("it does not arrive"))
				}
			}
			send.Close()
		}()
		resp, err := f.client(t, h2).Do(f.request(t, "POST", "slow", "/", body, "Cookie", mine))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(got) != strings.Repeat("x", start)+"slowly" {
			t.Errorf("%s: %s, %d bytes", resp.Proto, resp.Status, len(got))
		}
	}
}
