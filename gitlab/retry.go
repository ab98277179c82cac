package gitlab

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// GitLab is asked again a few times when it has too much to do, or breaks off. A
// GitLab that is down is left to the next sync.
const (
	maxRetries = 3
	// longestRetryAfter is how long GitLab may let us wait.
	longestRetryAfter = 30 * time.Second
)

var (
	firstWait   = 250 * time.Millisecond
	longestWait = 2 * time.Second
)

// retry decides whether a request is sent again: after 429 always, because it was
// not even looked at; otherwise only what reads.
func retry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		var sent *url.Error
		reads := errors.As(err, &sent) && sent.Op == "Get"
		brokenOff := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
		return reads && brokenOff, nil
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if resp.Request.Method != http.MethodGet {
			return false, nil
		}
	default:
		return false, nil
	}
	pause := wait(firstWait, longestWait, 0, resp)
	deadline, bounded := ctx.Deadline()
	return pause <= longestRetryAfter && (!bounded || time.Until(deadline) > pause), nil
}

// wait is Retry-After, or twice as long each time.
func wait(first, longest time.Duration, attempt int, resp *http.Response) time.Duration {
	return retryablehttp.DefaultBackoff(first, longest, attempt, resp)
}
