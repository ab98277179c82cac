package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/runner"
)

// steps is when a deploy began, had its image and was over, by its job log.
type steps struct {
	line, log            bytes.Buffer
	began, imaged, ready time.Time
	wholeJob             time.Duration
}

// Write takes the job log as it comes.
func (s *steps) Write(data []byte) (int, error) {
	s.log.Write(data)
	for _, c := range data {
		if c != '\n' {
			s.line.WriteByte(c)
			continue
		}
		switch line := s.line.String(); {
		case strings.HasPrefix(line, "Deploying review app"):
			s.began = time.Now()
		case strings.HasPrefix(line, "  image "):
			s.imaged = time.Now()
		case strings.HasPrefix(line, "Ready: "):
			s.ready = time.Now()
		}
		s.line.Reset()
	}
	return len(data), nil
}

// total, image and job are in seconds: the deploy, its image, and all stages of
// the job.
func (s *steps) total() float64 { return s.ready.Sub(s.began).Seconds() }
func (s *steps) image() float64 { return s.imaged.Sub(s.began).Seconds() }
func (s *steps) job() float64   { return s.wholeJob.Seconds() }

// redeploy runs a deploying job of the app through all stages, as gitlab-runner
// would, and returns when what happened.
func (b *bench) redeploy(app string) *steps { return b.redeployWith(app, b.host.Config()) }

func (b *bench) redeployWith(app, config string) *steps {
	s := &steps{}
	job := runner.Job{Dir: app, Script: []string{"true"}, Environment: "review/bench", Action: "start"}
	started := time.Now()
	err := job.Run(context.Background(), []string{b.program, "--config", config}, s)
	s.wholeJob = time.Since(started)
	if err == nil && s.ready.IsZero() {
		err = fmt.Errorf("the job deployed nothing")
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.log.String())
	}
	b.failed(err)
	return s
}

// freeAddress is one on loopback on which nobody listens.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// answers waits for an app's first answer.
func answers(address string) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/")
		if err == nil {
			return resp.Body.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}
