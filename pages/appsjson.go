package pages

import (
	"bytes"
	"encoding/json"
)

// list is what apps.json holds, each app and each ending marshalled already.
// Nothing in it tells when it was written, so that it stays as it is while the
// apps do.
type list struct{ apps, ended [][]byte }

func newList(apps []app, ended []ending) (l list, err error) {
	if l.apps, err = marshalEach(apps); err != nil {
		return l, err
	}
	l.ended, err = marshalEach(ended)
	return l, err
}

func marshalEach[T any](all []T) ([][]byte, error) {
	lines := make([][]byte, len(all))
	for i := range all {
		line, err := json.Marshal(&all[i])
		if err != nil {
			return nil, err
		}
		lines[i] = line
	}
	return lines, nil
}

// json has one line for an app, and for each ending that the page shows.
func (l list) json() []byte {
	var b bytes.Buffer
	b.WriteString(`{"apps": [`)
	writeLines(&b, l.apps)
	b.WriteString(`], "ended": [`)
	writeLines(&b, recent(l.ended))
	b.WriteString("]}\n")
	return b.Bytes()
}

func writeLines(b *bytes.Buffer, lines [][]byte) {
	separator := "\n"
	for _, line := range lines {
		b.WriteString(separator)
		b.Write(line)
		separator = ",\n"
	}
	if len(lines) > 0 {
		b.WriteString("\n")
	}
}
