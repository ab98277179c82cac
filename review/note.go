package review

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Notes are the comments on merge requests.
type Notes struct {
	// Login tells a reader how to get past the password: "user review, the password is in the wiki".
	Login string
}

// noteLines is how many of the app's last lines a comment shows.
const noteLines = 10

// noteTo remembers which merge request the deploy's comment belongs to.
func (d *deploy) noteTo(s Survey) {
	for _, m := range s.MergeRequests {
		if m.Ended.IsZero() && d.next.of(m) {
			d.mergeRequest = m.Number
		}
	}
}

// note tells the merge request how the deploy has ended. That this fails does not
// change how it has ended.
func (d *deploy) note(ctx context.Context, failed error) {
	if d.Notes == nil || d.Forge == nil || d.req.Job == 0 || Local(d.app.ProjectID) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if d.mergeRequest == 0 && failed != nil { // before it asked
		if survey, err := d.Forge.Survey(ctx, d.next.query(d.app)); err == nil {
			d.noteTo(survey)
		}
	}
	if d.mergeRequest == 0 {
		return
	}
	text := d.readyText()
	if failed != nil {
		text = d.failedText(AsFailure(failed))
	}
	if err := d.Forge.Note(ctx, d.app.ProjectID, d.mergeRequest, d.app.Name, text); err != nil {
		d.log.Line("WARNING: merge request !%d has no comment about this: %s", d.mergeRequest, Printable(AsFailure(err).Error(), 300))
	}
}

func (d *deploy) readyText() string {
	url := d.Front.URL(d.app.Host)
	lines := []string{
		fmt.Sprintf("**Review app: [%s](%s)**", d.app.Host, url),
		"",
		"| | |",
		"|---|---|",
		"| State | live |",
		fmt.Sprintf("| Commit | %s |", d.next.SHA),
		fmt.Sprintf("| Job | %d |", d.next.Job),
	}
	if d.Notes.Login != "" {
		lines = append(lines, "| Login | "+markdownCell(d.Notes.Login)+" |")
	}
	lines = append(lines, "| Stays | "+d.stays()+" |")
	return strings.Join(lines, "\n")
}

// stays tells until when the app is there.
func (d *deploy) stays() string {
	if d.record.Pinned {
		return "until it is stopped: the administrator has pinned it"
	}
	until := "as long as its branch and its environment"
	if d.Lifetime.MaxAge != 0 {
		until += fmt.Sprintf(", and until %s unless it is deployed again", d.next.Deployed.Add(d.Lifetime.MaxAge).Format(time.DateOnly))
	}
	return until
}

func (d *deploy) failedText(f *Failure) string {
	lines := []string{
		fmt.Sprintf("**Review app: the deploy of %.8s failed** (job %d)", d.next.SHA, d.next.Job),
		"",
		markdownText(d.redact(f.What)),
	}
	if d.record.Live.ID != "" {
		lines = append(lines, "", fmt.Sprintf("The version of %s is still serving: %s", shortSHA(d.record.Live.SHA), d.Front.URL(d.app.Host)))
	}
	said := f.Lines
	if f.Cause != nil {
		said = append(strings.Split(f.Cause.Error(), "\n"), said...)
	}
	if len(said) > noteLines {
		said = said[len(said)-noteLines:]
	}
	if len(said) > 0 {
		text := d.redact(strings.Join(said, "\n"))
		lines = append(lines, "", fence(text), plainLines(text), fence(text))
	}
	return strings.Join(lines, "\n")
}

func endedText(e Ending) string {
	return fmt.Sprintf("**Review app %s is stopped:** %s\n\nIts last commit was %s. A new pipeline deploys it again.", e.Host, markdownText(e.Reason), e.SHA)
}

func plainLines(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		lines = append(lines, Printable(line, 300))
	}
	return strings.Join(lines, "\n")
}

// redact takes the values of the app's environment out of a text: a comment is
// read by more people than a job log, and GitLab masks nothing in it.
func (d *deploy) redact(text string) string {
	const least = 6 // shorter ones are words
	var values []string
	collect := func(env map[string]string) {
		for _, value := range env {
			if len(value) >= least {
				values = append(values, value)
			}
		}
	}
	collect(d.secrets.App)
	for _, env := range d.secrets.Companions {
		collect(env)
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range values {
		text = strings.ReplaceAll(text, value, "[MASKED]")
	}
	return text
}

var backticks = regexp.MustCompile("`+")

// fence is longer than any run of backticks in the text, so that nothing in it is
// Markdown.
func fence(text string) string {
	longest := 2
	for _, run := range backticks.FindAllString(text, -1) {
		longest = max(longest, len(run))
	}
	return strings.Repeat("`", longest+1)
}

// markdownText makes one line that means nothing but itself.
func markdownText(text string) string {
	code := Printable(text, 500)
	ticks := fence(code)
	return ticks + " " + code + " " + ticks
}

// markdownCell is text of the administrator's in a table: Markdown, in one line.
func markdownCell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
