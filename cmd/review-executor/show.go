package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
)

func newShow() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show APP",
		GroupID: "admin",
		Short:   "Show everything about one review app",
		Long: `show tells where an app comes from, what it runs and how that does. It shows
the names of its variables and never a value. When Podman does not answer, it
shows what is recorded.`,
		Args:              exactly(1),
		ValidArgsFunction: appNamesOf(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			engine, down := podman.Connect(cmd.Context(), s.Podman.Socket)
			d, err := newLifecycle(s, engine, nil, operatorLog(cmd)).Describe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if down != nil {
				d.Engine = down
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), shownOf(d))
			}
			showText(cmd.OutOrStdout(), d, time.Now())
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json")
	completeWith(cmd, "output", "text", "json")
	return cmd
}

// shown is an app as JSON.
type shown struct {
	listed
	Pipeline     int64            `json:"pipeline,omitempty"`
	MergeRequest int64            `json:"merge_request,omitempty"`
	Image        string           `json:"image,omitempty"`
	ImageBytes   review.Bytes     `json:"image_bytes,omitempty"`
	Backend      string           `json:"backend,omitempty"`
	Port         uint16           `json:"port,omitempty"`
	Volumes      []string         `json:"volumes,omitempty"`
	Variables    []string         `json:"variables,omitempty"`
	MemoryLimit  review.Bytes     `json:"memory_limit,omitempty"`
	CPULimit     float64          `json:"cpu_limit,omitempty"`
	Previous     *shownRelease    `json:"previous,omitempty"`
	CanRollBack  bool             `json:"can_roll_back"`
	LastUsed     *time.Time       `json:"last_used,omitempty"` // it is awake
	DiskBytes    review.Bytes     `json:"disk_bytes,omitempty"`
	DiskMeasured *time.Time       `json:"disk_measured,omitempty"`
	Containers   []shownContainer `json:"containers"`
	Unknown      string           `json:"unknown,omitempty"` // why nothing is known of the containers
}

type shownRelease struct {
	SHA      string    `json:"sha"`
	Job      int64     `json:"job"`
	Deployed time.Time `json:"deployed"`
}

type shownContainer struct {
	Name      string       `json:"name"`
	Role      string       `json:"role"`
	Companion string       `json:"companion,omitempty"`
	State     string       `json:"state"` // running, ended, missing or not known
	Restarts  int          `json:"restarts"`
	ExitCode  int          `json:"exit_code"`
	Memory    review.Bytes `json:"memory_bytes"`
	CPU       float64      `json:"cpu"` // processors, on average since its start
	Started   *time.Time   `json:"started,omitempty"`
}

func shownOf(d review.Description) shown {
	r := d.Record
	s := shown{
		listed: listedOf(r, d.Asleep, d.URL), Pipeline: r.Live.Pipeline, MergeRequest: r.Live.MergeRequest,
		Image: r.Live.Image, ImageBytes: d.ImageSize, Backend: r.Live.Backend, Port: r.Live.Port, Volumes: r.Live.Volumes,
		Variables: d.Variables, MemoryLimit: d.Memory, CPULimit: d.CPUs, CanRollBack: d.Rollback == nil, DiskBytes: d.Disk,
		Containers: []shownContainer{},
	}
	if !d.Measured.IsZero() {
		s.DiskMeasured = &d.Measured
	}
	if !d.Used.IsZero() {
		s.LastUsed = &d.Used
	}
	if p := r.Previous; p != nil {
		s.Previous = &shownRelease{p.SHA, p.Job, p.Deployed}
	}
	if d.Engine != nil {
		s.Unknown = d.Engine.Error()
	}
	for _, c := range d.Containers {
		one := shownContainer{Name: c.Name, Role: c.Role, Companion: c.Companion, State: containerState(c), Restarts: c.State.Restarts, ExitCode: c.State.ExitCode, Memory: c.Uses.Memory, CPU: c.Uses.Share}
		if !c.Uses.Started.IsZero() {
			one.Started = &c.Uses.Started
		}
		s.Containers = append(s.Containers, one)
	}
	return s
}

func containerState(c review.ContainerStatus) string {
	switch {
	case c.Unknown:
		return "not known"
	case c.Missing:
		return "missing"
	case c.State.Running:
		return "running"
	default:
		return "ended"
	}
}

// showText writes a line for each thing that there is.
func showText(w io.Writer, d review.Description, now time.Time) {
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, review.Printable(text, 500))
		}
	}
	r := d.Record
	line("app", "%s", r.Name)
	line("url", "%s", d.URL)
	line("state", "%s", stateText(d))
	line("project", "%s (%d)", r.Project, r.ProjectID)
	line("environment", "%s", r.Environment)
	if r.Live.ID != "" {
		showRelease(line, d, now)
	}
	if !r.Missing.IsZero() {
		line("missing", "GitLab does not know its project since %s", r.Missing.Format(time.DateTime+" MST"))
	}
	if !d.Used.IsZero() {
		line("last used", "%s", humanize.RelTime(d.Used, now, "ago", "from now"))
	}
	line("expires", "%s", expiryText(r, now))
	line("previous", "%s", previousText(d, now))
	showContainers(line, d, now)
	if !d.Measured.IsZero() {
		line("disk", "%s in all, measured %s", d.Disk, humanize.RelTime(d.Measured, now, "ago", "from now"))
	}
	if d.Engine != nil {
		line("unknown", "%v", d.Engine)
	}
}

func stateText(d review.Description) string {
	r := d.Record
	state := stateOf(r, d.Asleep)
	if d.Asleep {
		state += " until its next request"
	}
	if r.Why != "" {
		state += ": " + r.Why
	}
	if r.Live.Static {
		state += ", static files"
	}
	if r.State() == "live" && len(r.Pending) > 0 {
		state += fmt.Sprintf(", job %d is about to deploy", r.Pending[0].Job)
	}
	if r.Pinned {
		state += ", pinned: it stays whatever becomes of its branch"
	}
	return state
}

func showRelease(line func(string, string, ...any), d review.Description, now time.Time) {
	r := d.Record.Live
	line("branch", "%s", r.Ref)
	line("commit", "%s", r.SHA)
	from := fmt.Sprintf("job %d", r.Job)
	if r.Pipeline != 0 {
		from += fmt.Sprintf(", pipeline %d", r.Pipeline)
	}
	if r.MergeRequest != 0 {
		from += fmt.Sprintf(", merge request !%d", r.MergeRequest)
	}
	line("deployed", "%s, %s, by %s", r.Deployed.Format(time.DateTime+" MST"), humanize.RelTime(r.Deployed, now, "ago", "from now"), from)
	if !r.Static {
		image := r.Image
		if d.ImageSize > 0 {
			image += fmt.Sprintf(", %s with all layers", d.ImageSize)
		}
		line("image", "%s", image)
		line("port", "%s, on %s", portText(r.Port), r.Backend)
		line("limits", "%s", limitsText(d))
	}
	line("volumes", "%s", strings.Join(r.Volumes, ", "))
	line("variables", "%s", strings.Join(d.Variables, ", "))
}

func portText(port uint16) string {
	if port == 0 {
		return "the image's"
	}
	return strconv.Itoa(int(port))
}

func limitsText(d review.Description) string {
	memory, cpus := "any memory", "any processors"
	if d.Memory > 0 {
		memory = d.Memory.String() + " of memory"
	}
	if d.CPUs > 0 {
		cpus = fmt.Sprintf("%v processors", d.CPUs)
	}
	return memory + ", " + cpus + " for each container"
}

func expiryText(r review.Record, now time.Time) string {
	if r.AutoStop.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s, %s", r.AutoStop.Format(time.DateTime+" MST"), expiry(r, now))
}

func previousText(d review.Description, now time.Time) string {
	p := d.Record.Previous
	switch {
	case p == nil:
		return "none"
	case d.Rollback != nil:
		return fmt.Sprintf("%.7s, job %d, and there is no way back to it: %v", p.SHA, p.Job, d.Rollback)
	default:
		return fmt.Sprintf("%.7s, job %d, %s: \"review-executor rollback %s\" brings it back", p.SHA, p.Job, humanize.RelTime(p.Deployed, now, "ago", "from now"), d.Record.Name)
	}
}

func showContainers(line func(string, string, ...any), d review.Description, now time.Time) {
	for _, c := range d.Containers {
		name := c.Role
		if name == review.RoleApp {
			name = "container"
		}
		text := containerState(c)
		if c.Companion != "" {
			text = c.Companion + " " + text
		}
		if containerState(c) == "ended" {
			text += fmt.Sprintf(" with code %d", c.State.ExitCode)
		}
		if !c.Uses.Started.IsZero() {
			text += fmt.Sprintf(" for %s, %s of memory, %.2f processors on average", strings.TrimSpace(humanize.RelTime(c.Uses.Started, now, "", "")), c.Uses.Memory, c.Uses.Share)
		}
		if c.State.Restarts > 0 {
			text += fmt.Sprintf(", started again %s", times(c.State.Restarts))
		}
		if c.State.OutOfMemory {
			text += ", a process of it was killed for memory"
		}
		line(name, "%s (%s)", text, c.Name)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
