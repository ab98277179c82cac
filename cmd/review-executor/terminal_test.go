package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestHarmless_OnlyColoursReachTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n":                       "plain\ttext\n",
		"über 日本 🙂\n":                         "über 日本 🙂\n",
		"\x1b[1;31mred\x1b[0m plain\n":        "\x1b[1;31mred\x1b[0m plain\x1b[0m\n",
		"\x1b[31mred\nnot red\n":              "\x1b[31mred\x1b[0m\nnot red\n",
		"\x1b[31mno end":                      "\x1b[31mno end\x1b[0m",
		"\x1b]0;title\x07\n":                  "?]0;title?\n",
		"\x1b[2J\x1b[H\n":                     "?[2J?[H\n",
		"\x1b[" + strings.Repeat("1", 99):     "?[" + strings.Repeat("1", 99),
		"over\rwritten\b\b\n":                 "over?written??\n",
		"windows\r\n":                         "windows\n",
		"\u009b31m \x9b31m \u202e \x00\xff\n": "?31m ?31m ? ??\n",
	} {
		for _, size := range []int{1, 3, 1000} {
			var b bytes.Buffer
			h := &harmless{w: &b}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := h.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if b.String() != want {
				t.Errorf("%q, %d at once, is %q, want %q", text, size, b.String(), want)
			}
		}
	}
}

func TestHarmless_LineWithoutAnEndIsNotKept(t *testing.T) {
	var b bytes.Buffer
	h := &harmless{w: &b}
	for range 100 {
		if _, err := h.Write(bytes.Repeat([]byte("x"), 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if kept := 1_000_000 - b.Len(); kept > longestLine || kept != len(h.line) {
		t.Errorf("%d bytes are kept", kept)
	}
}

func TestWriteTable_IsCutToTheWidth(t *testing.T) {
	rows := [][]string{
		{"APP", "PROJECT", "BRANCH", "STATE", "URL"},
		{"login", "group/shop", "feature/a-very-long-name-of-a-branch", "live", "https://login.review.example.org"},
	}
	for width, want := range map[int]string{
		0:   "login  group/shop  feature/a-very-long-name-of-a-branch  live   https://login.review.example.org",
		100: "login  group/shop  feature/a-very-long-name-of-a-branch  live   https://login.review.example.org",
		80:  "login  group/shop  feature/a-very-long…  live   https://login.review.example.org",
		60:  "login  group/shop  feature/a…  live",
	} {
		var b bytes.Buffer
		if err := writeTable(&b, rows, []int{2, 1}, width); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		if lines[1] != want || !strings.HasPrefix(lines[0], "APP    PROJECT") {
			t.Errorf("in %d columns:\n%s", width, b.String())
		}
	}
}

func TestProgress_IsNotThereAtTheEndAndOutputIsWhole(t *testing.T) {
	var b bytes.Buffer
	p := startProgress(&b, 3, "stopping apps", 0)
	out := p.around(&b)
	drawn := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.shown
	}
	for !drawn() {
		time.Sleep(time.Millisecond)
	}
	p.step()
	if _, err := out.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	p.done()
	if _, err := out.Write([]byte("two\n")); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !strings.Contains(text, "stopping apps: 0 of 3 done") || !strings.Contains(text, "\r\x1b[Kone\n\r\x1b[Kstopping apps: 1 of 3 done") || !strings.HasSuffix(text, "\r\x1b[Ktwo\n") {
		t.Errorf("written: %q", text)
	}

	var quiet bytes.Buffer
	p = newProgress(&quiet, 3, "stopping apps") // no terminal
	p.step()
	p.done()
	if quiet.Len() > 0 {
		t.Errorf("in a pipe: %q", quiet.String())
	}
}
