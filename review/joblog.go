package review

import (
	"fmt"
	"io"
	"time"
)

// Log writes to a developer's job log: plain lines, steps with their results,
// and sections that GitLab folds.
type Log struct {
	w io.Writer
}

// NewLog writes to w, the job log as gitlab-runner takes it.
func NewLog(w io.Writer) *Log { return &Log{w: w} }

// silent is a log that nobody reads.
func silent() *Log { return NewLog(io.Discard) }

// For is a log whose lines begin with the app's name.
func (l *Log) For(app string) *Log { return NewLog(named{l.w, app}) }

type named struct {
	w   io.Writer
	app string
}

func (n named) Write(text []byte) (int, error) {
	_, err := fmt.Fprintf(n.w, "%s: %s", n.app, text)
	return len(text), err
}

// Line writes a sentence.
func (l *Log) Line(format string, args ...any) {
	fmt.Fprintf(l.w, "%s\n", Printable(fmt.Sprintf(format, args...), 500))
}

// Step writes one step of a deploy and how it went.
func (l *Log) Step(name, format string, args ...any) {
	fmt.Fprintf(l.w, "  %-10s %s\n", name, Printable(fmt.Sprintf(format, args...), 500))
}

// Section opens a folded section titled title and returns where to write its
// lines and how to close it. name is unique within a job: letters and
// underscores. The markers are GitLab's:
// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
func (l *Log) Section(name, title string) (io.Writer, func()) {
	fmt.Fprintf(l.w, "section_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", time.Now().Unix(), name, Printable(title, 200))
	return l.w, func() {
		fmt.Fprintf(l.w, "section_end:%d:%s\r\x1b[0K", time.Now().Unix(), name)
	}
}

// Since is a duration as a job log shows it: 6.2s, 84ms, 2m5s.
func Since(start time.Time) string {
	d := time.Since(start)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
