package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	quiet     = time.Second            // how long a command may take before it shows how far it is
	redraw    = 200 * time.Millisecond // how often it does
	clearLine = "\r\x1b[K"
)

// progress is one line on a terminal that tells how far a command is. It is not
// there before a second has passed, nor at the end, and where nobody looks never.
type progress struct {
	w     io.Writer // nil: nobody looks
	what  string
	total int // 0: not known
	start time.Time
	ended chan struct{}

	mu    sync.Mutex
	count int
	shown bool
}

func newProgress(w io.Writer, total int, what string) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return startProgress(w, total, what, quiet)
}

func startProgress(w io.Writer, total int, what string, after time.Duration) *progress {
	p := &progress{w: w, what: what, total: total, start: time.Now(), ended: make(chan struct{})}
	if w != nil {
		go p.draw(after)
	}
	return p
}

func (p *progress) draw(after time.Duration) {
	timer := time.NewTimer(after)
	defer timer.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-timer.C:
			p.mu.Lock()
			p.show()
			p.mu.Unlock()
			timer.Reset(redraw)
		}
	}
}

// show draws the line, unless all is over.
func (p *progress) show() {
	select {
	case <-p.ended:
		return
	default:
	}
	count := fmt.Sprint(p.count)
	if p.total > 0 {
		count += fmt.Sprintf(" of %d", p.total)
	}
	fmt.Fprintf(p.w, "%s%s: %s done, %s", clearLine, p.what, count, time.Since(p.start).Round(time.Second))
	p.shown = true
}

func (p *progress) hide() {
	if p.shown {
		fmt.Fprint(p.w, clearLine)
		p.shown = false
	}
}

// step counts one more.
func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
}

// done takes the line away for good.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.ended)
	p.hide()
}

// around is a writer whose lines do not mix with this one.
func (p *progress) around(w io.Writer) io.Writer {
	return aside{p, w}
}

type aside struct {
	*progress
	to io.Writer
}

func (a aside) Write(text []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shown := a.shown
	a.hide()
	n, err := a.to.Write(text)
	if shown {
		a.show()
	}
	return n, err
}
