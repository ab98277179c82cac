package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// isTerminal tells whether a person looks at what is written there, or read from.
func isTerminal(stream any) bool {
	file, is := stream.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// widthOf is how many columns a terminal has; 0: it is none.
func widthOf(w io.Writer) int {
	file, is := w.(*os.File)
	if !is {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// harmless makes what a stranger's program writes fit for a terminal: colours
// pass, anything else that a terminal would obey becomes "?". Colours end with the
// line. Each line is written at once; Close writes what is left.
type harmless struct {
	w    io.Writer
	line []byte
}

// longestLine is where a line is broken that has no end.
const longestLine = 64 << 10

// colour is SGR, "select graphic rendition", with numbers only.
var colour = regexp.MustCompile(`^\x1b\[[0-9;]{0,40}m`)

func (h *harmless) Write(text []byte) (int, error) {
	n := len(text)
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 && len(h.line)+len(text) < longestLine {
			h.line = append(h.line, text...)
			return n, nil
		}
		if end == 0 {
			end = len(text)
		}
		h.line = append(h.line, text[:end]...)
		text = text[end:]
		if err := h.flush(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Close writes a line that has no end.
func (h *harmless) Close() error { return h.flush() }

func (h *harmless) flush() error {
	line, coloured := h.line, false
	var safe []byte
	for len(line) > 0 {
		if escape := colour.Find(line); escape != nil {
			safe, line, coloured = append(safe, escape...), line[len(escape):], true
			continue
		}
		r, size := utf8.DecodeRune(line)
		switch {
		case r == '\n' && coloured:
			safe = append(safe, "\x1b[0m\n"...)
			coloured = false
		case r == '\n', r == '\t':
			safe = append(safe, byte(r))
		case r == '\r' && size < len(line) && line[size] == '\n': // the end of a line, as Windows has it
		case (r == utf8.RuneError && size == 1) || !unicode.IsPrint(r):
			safe = append(safe, '?')
		default:
			safe = append(safe, line[:size]...)
		}
		line = line[size:]
	}
	if coloured {
		safe = append(safe, "\x1b[0m"...)
	}
	h.line = h.line[:0]
	_, err := h.w.Write(safe)
	return err
}
