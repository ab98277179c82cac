package runner

import (
	"bufio"
	"errors"
	"io"
	"regexp"
)

// marker is GitLab's mark of a section's start or end, which its pages turn
// into a fold and a terminal would show.
var marker = regexp.MustCompile(`section_(start|end):\d+:[A-Za-z0-9_.-]+(\[[^\]]*\])?\r\x1b\[0K`)

// markerFilter passes on what is written to it, line by line and without
// section marks. Longer lines than its buffer pass in pieces.
type markerFilter struct {
	*io.PipeWriter
	done chan struct{}
}

func newMarkerFilter(w io.Writer) *markerFilter {
	r, in := io.Pipe()
	f := &markerFilter{PipeWriter: in, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := lines.ReadSlice('\n')
			_, werr := w.Write(marker.ReplaceAll(line, nil))
			if werr != nil || (err != nil && !errors.Is(err, bufio.ErrBufferFull)) {
				r.CloseWithError(werr)
				return
			}
		}
	}()
	return f
}

// Close passes the rest on.
func (f *markerFilter) Close() {
	f.PipeWriter.Close()
	<-f.done
}
