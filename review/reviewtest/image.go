package reviewtest

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	"gitlab.com/review-executor/review-executor/review"
)

// image is what the fake makes of a Containerfile: FROM an image that is there,
// RUN and HEALTHCHECK CMD with a script, EXPOSE, and CMD as a JSON array. COPY
// does nothing: an image has its context's files anyway. See script for what a
// command can do.
type image struct {
	review.Image
	tag     string
	own     string // the name of a release that it was given
	labels  map[string]string
	files   fstest.MapFS
	command []string
	health  string // script
}

// untagged takes the release's name off an image that carries the labels, and tells
// whether nothing is left of it.
func (i *image) untagged(labels map[string]string) bool {
	if app, release, ours := review.ParseImageName(i.own); ours && carries(map[string]string{review.LabelApp: app, review.LabelRelease: release}, labels) {
		i.own = ""
		return i.tag == ""
	}
	return carries(i.labels, labels)
}

func readFiles(context io.Reader) (fstest.MapFS, error) {
	files := fstest.MapFS{}
	r := tar.NewReader(context)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the context: %w", err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("read the context: %w", err)
		}
		files[h.Name] = &fstest.MapFile{Data: data}
	}
}

func (e *Engine) build(spec review.BuildSpec, files fstest.MapFS, log io.Writer) (*image, error) {
	i := &image{tag: spec.Tag, labels: spec.Labels, files: files}
	text, err := files.ReadFile(spec.Containerfile)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fmt.Fprintf(log, "STEP: %s\n", line)
		if err := e.step(i, line, log); err != nil {
			return nil, err
		}
	}
	slices.Sort(i.Ports)
	return i, nil
}

func (e *Engine) step(i *image, line string, log io.Writer) error {
	instruction, rest, _ := strings.Cut(line, " ")
	switch instruction {
	case "FROM":
		base, err := e.image(rest)
		if err != nil {
			return err
		}
		i.command, i.health = base.command, base.health
		i.Ports, i.HealthCheck = slices.Clone(base.Ports), base.HealthCheck
		if len(base.files) > 0 {
			i.files = base.files
		}
		return nil
	case "RUN":
		out, code, _ := script(rest)
		fmt.Fprint(log, strings.Join(append(out, ""), "\n"))
		if code != 0 {
			return fmt.Errorf("%q: exit status %d", rest, code)
		}
		return nil
	case "EXPOSE":
		return i.expose(strings.Fields(rest))
	case "HEALTHCHECK":
		i.HealthCheck = true
		i.health = strings.TrimPrefix(rest, "CMD ")
		return nil
	case "CMD":
		return json.Unmarshal([]byte(rest), &i.command)
	case "COPY", "LABEL":
		return nil
	default:
		return fmt.Errorf("unknown instruction: %q", instruction)
	}
}

func (i *image) expose(ports []string) error {
	for _, text := range ports {
		if strings.HasSuffix(text, "/udp") {
			continue
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return err
		}
		i.Ports = append(i.Ports, uint16(port))
	}
	return nil
}

// script runs the fake's shell: "echo TEXT", "exit CODE", "sleep" and "httpd"
// with whatever arguments, exec or not, separated by semicolons. stays is what it goes on
// with if it does not end.
func script(text string) (out []string, code int, stays string) {
	for _, statement := range strings.Split(text, ";") {
		statement = strings.TrimPrefix(strings.TrimSpace(statement), "exec ")
		command, rest, _ := strings.Cut(statement, " ")
		switch command {
		case "echo":
			out = append(out, rest)
		case "sleep", "httpd":
			return out, 0, command
		case "exit":
			code, err := strconv.Atoi(rest)
			if err != nil {
				code = 2
			}
			return out, code, ""
		default:
			return append(out, "sh: "+command+": not found"), 127, ""
		}
	}
	return out, 0, ""
}
