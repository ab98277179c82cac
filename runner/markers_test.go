package runner

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

const (
	sectionStart = "section_start:1730000000:review_build[collapsed=true]\r\x1b[0K"
	sectionEnd   = "section_end:1730000000:review_build\r\x1b[0K"
)

// filtered writes text through the filter in pieces of that size.
func filtered(t *testing.T, text string, piece int) string {
	t.Helper()
	var got bytes.Buffer
	f := newMarkerFilter(&got)
	for rest := text; rest != ""; {
		n, err := f.Write([]byte(rest[:min(piece, len(rest))]))
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	f.Close()
	return got.String()
}

func TestMarkerFilter(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":              {"", ""},
		"no marker":            {"one\ntwo\n", "one\ntwo\n"},
		"no end of line":       {"one\ntwo", "one\ntwo"},
		"empty lines":          {"\n\n\r\n", "\n\n\r\n"},
		"start with its title": {sectionStart + "Building\n", "Building\n"},
		"start without option": {"section_start:1:a.b-c_D9\r\x1b[0KTitle\n", "Title\n"},
		"end before a line":    {"a\n" + sectionEnd + "b\n", "a\nb\n"},
		"end at the end":       {"a\n" + sectionEnd, "a\n"},
		"several in a line":    {sectionEnd + sectionStart + "a" + sectionEnd + "\n", "a\n"},
		"not quite one":        {"section_start:x:y\r\x1b[0K\nsection_start:1:y\nsection_begin:1:y\r\x1b[0K\n", "section_start:x:y\r\x1b[0K\nsection_start:1:y\nsection_begin:1:y\r\x1b[0K\n"},
		"colours stay":         {"\x1b[31mred\x1b[0m\x1b[0K\r\n", "\x1b[31mred\x1b[0m\x1b[0K\r\n"},
		"binary":               {"\x00\xff\xfe\n\x80", "\x00\xff\xfe\n\x80"},
	} {
		for _, piece := range []int{1, 2, 3, 7, 1 << 20} { // a marker may come in several writes
			if got := filtered(t, c.text, piece); got != c.want {
				t.Errorf("%s, in pieces of %d: %q, want %q", name, piece, got, c.want)
			}
		}
	}
}

func TestMarkerFilter_LongLinesPass(t *testing.T) {
	long := strings.Repeat("0123456789", 20<<10)
	for _, piece := range []int{1000, 64 << 10, 1 << 20} {
		got := filtered(t, "before\n"+long+"\n"+sectionEnd+long, piece)
		if want := "before\n" + long + "\n" + long; got != want {
			t.Errorf("in pieces of %d: %d bytes, want %d", piece, len(got), len(want))
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestMarkerFilter_LogThatBreaksEndsIt: a stage must not wait for ever for
// somebody who reads its output.
func TestMarkerFilter_LogThatBreaksEndsIt(t *testing.T) {
	f := newMarkerFilter(brokenWriter{})
	if _, err := io.Copy(f, strings.NewReader(strings.Repeat("line\n", 1<<20))); err == nil || err.Error() != "broken pipe" {
		t.Errorf("a write says %v", err)
	}
	f.Close()
}

func FuzzMarkerFilter(f *testing.F) {
	f.Add("a\n"+sectionStart+"b\n"+sectionEnd, 3)
	f.Add(strings.Repeat("x", 100)+"\nsection_end", 7)
	f.Fuzz(func(t *testing.T, text string, piece int) {
		if piece < 1 || len(text) > 64<<10 {
			t.Skip("no pieces, or a line that passes in pieces")
		}
		var want []byte
		for _, line := range strings.SplitAfter(text, "\n") {
			want = append(want, marker.ReplaceAll([]byte(line), nil)...)
		}
		if got := filtered(t, text, piece); got != string(want) {
			t.Errorf("%q in pieces of %d: %q, want %q", text, piece, got, want)
		}
	})
}
