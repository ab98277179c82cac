package podman

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"go.podman.io/image/v5/docker/reference"

	"gitlab.com/review-executor/review-executor/review"
)

const pullTries = 3

// fetch asks the image's registry, up to three times if it does not work, and
// returns the image's ID.
func (p *Podman) fetch(ctx context.Context, s source, log io.Writer) (id string, err error) {
	var progress bytes.Buffer
	start := time.Now()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier = time.Second, 3
	again := func(err error, wait time.Duration) {
		review.NewLog(log).Line("Pulling image %s again in %s: %s", s.Image, round(wait), strings.ReplaceAll(err.Error(), "\n", " "))
	}
	id, err = backoff.Retry(ctx, func() (string, error) {
		id, err := p.try(ctx, s, &progress)
		if !transient(err) {
			err = backoff.Permanent(err)
		}
		return id, err
	}, backoff.WithMaxTries(pullTries), backoff.WithBackOff(wait), backoff.WithNotify(again))

	title := "Pulled image %s in %s"
	if err != nil {
		title = "Pulling image %s ended without it after %s"
	}
	writeProgress(log, fmt.Sprintf(title, s.Image, round(time.Since(start))), progress.String())
	if err != nil {
		return "", p.pullFailed(s, err)
	}
	return id, p.checkPlatform(ctx, s, id)
}

// try asks once.
//
// It speaks to the endpoint itself. Without a user, the bindings collect the
// passwords of every registry from the auth files of whoever calls, run the
// credential helpers named there, and send all of it.
func (p *Podman) try(ctx context.Context, s source, progress io.Writer) (id string, err error) {
	conn, err := bindings.GetClient(p.conn)
	if err != nil {
		return "", err
	}
	header, err := s.authHeader()
	if err != nil {
		return "", err
	}
	resp, err := conn.DoRequest(ctx, nil, http.MethodPost, "/images/pull", s.query(), header)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if !resp.IsSuccess() {
		message, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return "", s.refusal(errorMessage(message))
	}
	return s.read(resp.Body, progress)
}

func (s source) query() url.Values {
	name := s.ref.String()
	if s.short {
		name = s.Image // Podman knows what it is short for
	}
	query := url.Values{
		"reference": {name},
		"policy":    {"always"},
		"retry":     {"0"}, // since Podman 5: we do
	}
	if s.Platform != "" {
		query.Set("OS", s.platform.os)
		query.Set("Arch", s.platform.arch)
		query.Set("Variant", s.platform.variant)
	}
	return query
}

// authHeader hands over the password for the image's registry and no other:
// not for a mirror, nor for what Podman makes of a short name.
//
// It is never empty, so that newer Podman does not look for passwords in its
// own user's auth files and run the credential helpers named there. Podman 4.3
// does so whatever it is sent.
func (s source) authHeader() (http.Header, error) {
	type login struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	logins := map[string]login{"none.invalid": {"none", "none"}}
	if s.Username != "" {
		logins = map[string]login{reference.Domain(s.ref): {s.Username, s.Password}}
	}
	data, err := json.Marshal(logins)
	return http.Header{"X-Registry-Auth": {base64.URLEncoding.EncodeToString(data)}}, err
}

// read passes on what Podman says of a pull and returns the image's ID.
func (s source) read(stream io.Reader, progress io.Writer) (id string, err error) {
	decoder := json.NewDecoder(stream)
	for {
		var report types.ImagePullReport
		err := decoder.Decode(&report)
		switch {
		case errors.Is(err, io.EOF) && id != "":
			return id, nil
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return "", s.refusal("Podman's answer ended early: unexpected EOF")
		case err != nil:
			return "", err
		case report.Error != "":
			return "", s.refusal(report.Error)
		case len(report.Images) > 0:
			id = report.Images[len(report.Images)-1]
		}
		fmt.Fprint(progress, report.Stream)
	}
}

// writeProgress writes a section of the job log, in one piece.
func writeProgress(log io.Writer, title, lines string) {
	if lines == "" {
		return
	}
	var b bytes.Buffer
	section := review.NewLog(&b)
	// No other process of the job may have had the number either.
	_, end := section.Section(fmt.Sprintf("pull_image_%d", rand.Uint32()), title) //nolint:gosec // no secret
	for line := range strings.Lines(lines) {
		section.Line("%s", strings.TrimSpace(line))
	}
	end()
	fmt.Fprint(log, b.String())
}

// checkPlatform refuses what a registry gives that has no other: Podman but
// warns.
func (p *Podman) checkPlatform(ctx context.Context, s source, id string) error {
	if s.Platform == "" {
		return nil
	}
	image, err := images.GetImage(p.call(ctx), id, nil)
	if err != nil {
		return p.explain(err, "inspect image %s", s.Image)
	}
	if !s.platform.runs(image) {
		return s.noPlatform(fmt.Errorf("it is for %s/%s", image.Os, image.Architecture))
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
