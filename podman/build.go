package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/images"

	"gitlab.com/review-executor/review-executor/review"
)

// apiVersion is the oldest API that has what a build needs (Podman 4.0), so
// that older services answer too.
const apiVersion = "v4.0.0"

var imageID = regexp.MustCompile(`^[0-9a-f]{12,64}\n?$`)

// Build builds an image from a tar stream. See review.Containers.
//
// The bindings take a directory only, and send a stream again from its middle
// when the connection breaks; so this speaks to the endpoint itself.
//
// When ctx ends, so do the build's processes, if they are in a group: only then
// does the service end the build and tidy up, so that is waited for. Podman 4.3
// lets a step run on whose client is gone.
func (p *Podman) Build(ctx context.Context, spec review.BuildSpec, log io.Writer) (string, error) {
	if spec.Heredocs && !p.since(4, 8) {
		return "", noHeredocs(spec)
	}
	query := buildQuery(spec)
	group := p.newBuildGroup(ctx, spec.Isolation)
	if group != nil {
		query.Set("cgroupparent", group.parent())
		defer group.remove()
	}
	building, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	ended := make(chan struct{})
	defer close(ended)
	defer context.AfterFunc(ctx, func() {
		if group != nil {
			group.killUntil(ended)
		}
		abandon()
	})()
	id, err := p.build(building, spec, query, log)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return id, p.explain(err, "build image %s", spec.Tag)
}

// build sends the request and reads the answer.
func (p *Podman) build(ctx context.Context, spec review.BuildSpec, query url.Values, log io.Writer) (string, error) {
	conn, err := bindings.GetClient(p.conn)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://d/"+apiVersion+"/libpod/build?"+query.Encode(), spec.Context)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	resp, err := conn.Client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return "", buildFailed(spec, errorMessage(message))
	}
	return readBuild(resp.Body, spec, log)
}

func buildQuery(spec review.BuildSpec) url.Values {
	labels, _ := json.Marshal(spec.Labels)
	query := url.Values{
		"t": {spec.Tag},
		// As a plain string: of a JSON list, the service first looks for files of
		// these names in its own directory on the host. "./" is never JSON.
		"dockerfile": {"./" + spec.Containerfile},
		// A network of its own. The default is the host's, with every app on its
		// loopback behind no password.
		"nsoptions": {`[{"Name":"network","Host":false}]`},
		"labels":    {string(labels)},
		// Docker's format, because OCI's drops HEALTHCHECK.
		"outputformat": {"application/vnd.docker.distribution.manifest.v2+json"},
		"layers":       {"true"},
		"rm":           {"true"},
		"forcerm":      {"true"},
		"pullpolicy":   {"never"}, // what it names is there, by its ID
	}
	if len(spec.Args) > 0 {
		args, _ := json.Marshal(spec.Args)
		query.Set("buildargs", string(args))
	}
	if spec.Target != "" {
		query.Set("target", spec.Target)
	}
	isolateBuild(query, spec)
	return query
}

// buildCapabilities are what a build has of itself; it knows no "ALL".
var buildCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// isolateBuild gives the steps of a build the capabilities and limits that
// containers have. The limit of processes is the group's, and the endpoint's user namespaces
// do not reach the image's files (Podman 4.3).
func isolateBuild(query url.Values, spec review.BuildSpec) {
	set := func(key string, value any) {
		text, _ := json.Marshal(value)
		query.Set(key, string(text))
	}
	isolation, can := spec.Isolation, controllers()
	if isolation.Capabilities != nil {
		drop, add := []string{}, []string{}
		for _, name := range buildCapabilities {
			if !slices.Contains(isolation.Capabilities, name) {
				drop = append(drop, "CAP_"+name)
			}
		}
		for _, name := range isolation.Capabilities {
			add = append(add, "CAP_"+name)
		}
		set("dropcaps", drop)
		set("addcaps", add)
	}
	if isolation.Memory != 0 && can["memory"] {
		query.Set("memory", strconv.FormatInt(int64(isolation.Memory), 10))
		query.Set("memswap", strconv.FormatInt(int64(isolation.Memory), 10))
	}
	if isolation.CPUs != 0 && can["cpu"] {
		query.Set("cpuperiod", "100000")
		query.Set("cpuquota", strconv.FormatInt(int64(isolation.CPUs*100000), 10))
	}
}

// readBuild passes the build's output on and returns the image's ID, which is
// the last line of it.
func readBuild(stream io.Reader, spec review.BuildSpec, log io.Writer) (string, error) {
	decoder := json.NewDecoder(stream)
	id := "" // or a line of the build that looks like one
	for {
		var event struct {
			Stream string `json:"stream"`
			Error  string `json:"error"`
		}
		err := decoder.Decode(&event)
		switch {
		case errors.Is(err, io.EOF) && id != "":
			return id, nil
		case err != nil:
			return "", fmt.Errorf("the build's output ended early: %w", err)
		case event.Error != "":
			return "", buildFailed(spec, event.Error)
		}
		if id != "" {
			event.Stream = id + "\n" + event.Stream
			id = ""
		}
		before, line := cutLastLine(event.Stream)
		if imageID.MatchString(line) {
			id, event.Stream = strings.TrimSpace(line), before
		}
		if _, err := io.WriteString(log, event.Stream); err != nil {
			return "", err
		}
	}
}

// cutLastLine splits text before its last line.
func cutLastLine(text string) (before, last string) {
	i := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n") + 1
	return text[:i], text[i:]
}

// since tells whether the service is of this version or a later one.
func (p *Podman) since(major, minor uint64) bool {
	version := bindings.ServiceVersion(p.conn)
	return version != nil && (version.Major > major || version.Major == major && version.Minor >= minor)
}

// noHeredocs is what a Podman says that would take the lines of a here-document for
// instructions, which nobody has looked at.
func noHeredocs(spec review.BuildSpec) error {
	return &review.Failure{
		Kind: review.Build,
		What: fmt.Sprintf("%s has here-documents (<<), which this host's Podman does not know", spec.Containerfile),
		Hint: "write them as RUN printf '…', or COPY a file; Podman 4.8 and later know them",
	}
}

func buildFailed(spec review.BuildSpec, message string) error {
	f := &review.Failure{
		Kind:  review.Build,
		What:  fmt.Sprintf("%s does not build", spec.Containerfile),
		Cause: errors.New(message),
		Hint:  "the build's output is above",
	}
	if fullDisk(message) {
		f.Kind = review.System
		f.What = "the host's disk is full"
		f.Hint = "not your branch: the host's administrator must make room"
	}
	return f
}

func errorMessage(body []byte) string {
	var model struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &model) == nil && model.Message != "" {
		return model.Message
	}
	return string(body)
}

// Image describes an image of the local store.
func (p *Podman) Image(ctx context.Context, ref string) (review.Image, error) {
	found, err := images.GetImage(p.call(ctx), ref, nil)
	if err != nil {
		return review.Image{}, p.explain(err, "inspect image %s", ref)
	}
	image := review.Image{ID: found.ID, Digest: found.Digest.String(), Labels: found.Labels, Size: size(found.Size)}
	if found.HealthCheck != nil && len(found.HealthCheck.Test) > 0 && found.HealthCheck.Test[0] != "NONE" {
		image.HealthCheck = true
	}
	if found.Config != nil {
		image.Ports = tcpPorts(found.Config.ExposedPorts)
		image.User, image.Entrypoint = found.Config.User, found.Config.Entrypoint
		image.Volumes = slices.Sorted(maps.Keys(found.Config.Volumes))
	}
	return image, nil
}
