package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// shortest is what a column is never cut below.
const shortest = 10

// writeTable writes rows in columns, two spaces apart. If they are wider than width,
// the columns named in cut are cut, the widest first, and if that is not enough, the
// last column, which tells the least, is left out. Width 0 is any.
func writeTable(w io.Writer, rows [][]string, cut []int, width int) error {
	widths := columnWidths(rows)
	for width > 0 && sum(widths) > width {
		widest := -1
		for _, i := range cut {
			if widths[i] > shortest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			widths = widths[:len(widths)-1]
			break
		}
		widths[widest]--
	}
	for _, row := range rows {
		var line strings.Builder
		for i, width := range widths {
			cell := shorten(row[i], width)
			line.WriteString(cell)
			if i < len(widths)-1 {
				line.WriteString(strings.Repeat(" ", width-utf8.RuneCountInString(cell)+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// sum is how wide the table is.
func sum(widths []int) int {
	all := 2 * (len(widths) - 1)
	for _, width := range widths {
		all += width
	}
	return all
}

func shorten(cell string, width int) string {
	if utf8.RuneCountInString(cell) <= width {
		return cell
	}
	return string([]rune(cell)[:width-1]) + "…"
}
