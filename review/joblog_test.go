package review_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

var (
	duration = regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`)
	address  = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	marker   = regexp.MustCompile(`(section_(?:start|end)):[0-9]+:`)
)

// deployLog deploys and returns the whole job log, with its failure, in which
// whatever differs between two runs is replaced.
func (w *world) deployLog(job review.Request) string {
	w.t.Helper()
	var b bytes.Buffer
	job.Log = review.NewLog(&b)
	if _, err := w.Deploy(w.t.Context(), job); err != nil {
		b.WriteString(review.AsFailure(err).Text())
	}
	log := duration.ReplaceAllString(b.String(), "TIME")
	log = address.ReplaceAllString(log, "127.0.0.1:PORT")
	log = marker.ReplaceAllString(log, "$1:TIME:")
	return strings.NewReplacer("\r", `\r`, "\x1b", `\e`).Replace(log)
}

func TestJobLog_Golden(t *testing.T) {
	w := newWorld(t)
	files := site("one")
	files["Containerfile"] = containerfile("RUN echo compiling", "EXPOSE 8080", `CMD ["httpd"]`)
	golden(t, "deploy", w.deployLog(w.job(4711, files)))
	golden(t, "redeploy", w.deployLog(w.job(4712, files)))

	files["Containerfile"] = containerfile("EXPOSE 8080", `CMD ["sh", "-c", "echo connecting; echo DATABASE_URL is not set; exit 1"]`)
	golden(t, "deploy-ended", w.deployLog(w.job(4713, files)))
	files["Containerfile"] = containerfile("RUN echo compiling; exit 7")
	golden(t, "deploy-unbuilt", w.deployLog(w.job(4714, files)))

	w = newWorld(t)
	job := w.job(4715, site("one"))
	job.Settings.HealthPath, job.Settings.HealthTimeout = "/healthz", 300*time.Millisecond
	golden(t, "deploy-unhealthy", w.deployLog(job))
}

// TestJobLog_WaitingIsTold, once, and who waits gets its turn.
func TestJobLog_WaitingIsTold(t *testing.T) {
	w := newWorld(t)
	unlock, err := w.Records.Lock(t.Context(), "login", func() {})
	if err != nil {
		t.Fatal(err)
	}
	told := make(lines, 20)
	job := w.job(1, site("one"))
	job.Log = review.NewLog(told)
	done := make(chan error)
	go func() {
		_, err := w.Deploy(t.Context(), job)
		done <- err
	}()
	if want, got := "Waiting for another job that works on review app login\n", <-told; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	close(told)
	for line := range told {
		if strings.Contains(line, "Waiting") {
			t.Errorf("it says again: %s", line)
		}
	}
}

// lines gets what is written to it.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

// TestJobLog_StrangersCannotWriteEscapes: whatever a step tells, sections stay
// ours.
func TestJobLog_StrangersCannotWriteEscapes(t *testing.T) {
	var b bytes.Buffer
	log := review.NewLog(&b)
	log.Line("branch %s", "\x1b[2Jx\nERROR: y")
	log.Step("front", "%s", "section_end:1:a\r\x1b[0K")
	want := "branch ?[2Jx?ERROR: y\n  front      section_end:1:a??[0K\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	w, done := log.Section("review_build", "title\r\x1b[31m")
	if _, err := w.Write([]byte("inside\n")); err != nil {
		t.Fatal(err)
	}
	done()
	want = "section_start:TIME:review_build[collapsed=true]\r\x1b[0Ktitle??[31m\ninside\nsection_end:TIME:review_build\r\x1b[0K"
	if got := marker.ReplaceAllString(b.String(), "$1:TIME:"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
