package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/semaphore"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	// maxBody is more than any event that ends an app: those of pushes list files of
	// up to 20 commits.
	maxBody = 10 << 20
	// maxBodies is how much of all bodies is in memory at once.
	maxBodies = 64 << 20
)

// receiver answers the senders of events. Whatever comes before /gitlab and /github
// in a path is the proxy's.
type receiver struct {
	secrets Secrets
	mirrors Mirrors
	// keep has the event on disk when it returns, and tells whether it is new.
	keep func(context.Context, review.Event) (bool, error)
	log  logrus.FieldLogger
	room *semaphore.Weighted
}

func newReceiver(secrets Secrets, mirrors Mirrors, keep func(context.Context, review.Event) (bool, error), log logrus.FieldLogger) *receiver {
	return &receiver{secrets: secrets, mirrors: mirrors, keep: keep, log: log, room: semaphore.NewWeighted(maxBodies)}
}

// refusal is an answer that is no good news.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := rc.receive(w, r)
	var refused refusal
	switch {
	case err == nil:
		fmt.Fprintln(w, text)
	case errors.As(err, &refused):
		if refused.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		rc.log.WithFields(logrus.Fields{"path": review.Printable(r.URL.Path, 200), "status": refused.status}).Warn("request refused: " + refused.text)
		http.Error(w, refused.text, refused.status)
	default:
		status := http.StatusServiceUnavailable
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			status = http.StatusInsufficientStorage
		}
		rc.log.WithError(err).Error("an event could not be kept; its sender was told")
		http.Error(w, "the event could not be kept; send it again", status)
	}
}

// receive returns what to say to a sender whose event is taken care of.
func (rc *receiver) receive(w http.ResponseWriter, r *http.Request) (string, error) {
	sender := path.Base(r.URL.Path)
	if sender != "gitlab" && sender != "github" {
		return "", refusal{http.StatusNotFound, "webhooks are sent to /gitlab or /github"}
	}
	if r.Method != http.MethodPost {
		return "", refusal{http.StatusMethodNotAllowed, "webhooks are sent by POST"}
	}
	if sender == "gitlab" && !rc.secrets.signed() && !rc.secrets.knowsToken(r.Header) {
		return "", unauthorized // without reading the body of who knows nothing
	}
	if sender == "github" && rc.secrets.GitHub == "" {
		return "", unauthorized
	}
	body, release, err := rc.body(w, r)
	if err != nil {
		return "", err
	}
	defer release()
	if !rc.knows(sender, r.Header, body) {
		return "", unauthorized
	}
	event, err := rc.read(sender, r.Header, body)
	if err != nil {
		return rc.unread(sender, err)
	}
	return rc.take(r.Context(), event)
}

var unauthorized = refusal{http.StatusUnauthorized, "unauthorized"}

func (rc *receiver) knows(sender string, h http.Header, body []byte) bool {
	switch {
	case sender == "github":
		return rc.secrets.signedByGitHub(h, body)
	case rc.secrets.signed():
		return rc.secrets.signedByGitLab(h, body, time.Now())
	default:
		return rc.secrets.knowsToken(h)
	}
}

func (rc *receiver) read(sender string, h http.Header, body []byte) (review.Event, error) {
	if kind, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || kind != "application/json" {
		return review.Event{}, refusal{http.StatusUnsupportedMediaType, "the content type must be application/json"}
	}
	var (
		event review.Event
		id    string
		err   error
	)
	if sender == "github" {
		event, err = githubEvent(h.Get("X-GitHub-Event"), body, rc.mirrors)
	} else {
		event, err = gitlabEvent(body)
	}
	if err != nil {
		return review.Event{}, err
	}
	if sender == "github" {
		id, err = githubID(h)
	} else {
		id, err = gitlabID(h, body)
	}
	if err != nil {
		return review.Event{}, refusal{http.StatusBadRequest, err.Error()}
	}
	event.ID, event.Received = id, time.Now().UTC()
	return event, nil
}

// unread answers an event that cannot be read, or need not be.
func (rc *receiver) unread(sender string, err error) (string, error) {
	var none irrelevant
	if errors.As(err, &none) {
		rc.log.WithField("sender", sender).Info("nothing to do: " + none.why)
		return "nothing to do: " + none.why, nil
	}
	if errors.Is(err, errPayload) {
		return "", refusal{http.StatusBadRequest, err.Error()}
	}
	return "", err
}

// take keeps the event before it is answered.
func (rc *receiver) take(ctx context.Context, event review.Event) (string, error) {
	log := rc.log.WithFields(fieldsOf(event))
	isNew, err := rc.keep(ctx, event)
	switch {
	case err != nil:
		return "", err
	case !isNew:
		log.Info("event received again: nothing to do")
		return "known already", nil
	}
	log.Info("event received")
	return "queued", nil
}

// body reads the whole body. Call release when it is no longer needed.
func (rc *receiver) body(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxBody {
		return nil, nil, tooLarge
	}
	size := r.ContentLength
	if size < 0 {
		size = maxBody // it does not say
	}
	if err := rc.room.Acquire(r.Context(), size); err != nil {
		return nil, nil, refusal{http.StatusServiceUnavailable, "too many requests at once"}
	}
	release = func() { rc.room.Release(size) }
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body, release, nil
	}
	release()
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, nil, tooLarge
	}
	return nil, nil, refusal{http.StatusBadRequest, "the body ended too early, or came too slowly"}
}

var tooLarge = refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d MiB", maxBody>>20)}

// fieldsOf is an event in a log.
func fieldsOf(event review.Event) logrus.Fields {
	fields := logrus.Fields{"event": event.ID, "kind": event.Kind}
	for key, value := range map[string]string{"project": event.Project, "branch": event.Branch, "environment": event.Environment} {
		if value != "" {
			fields[key] = review.Printable(value, 200)
		}
	}
	if event.ProjectID != 0 {
		fields["project_id"] = event.ProjectID
	}
	if event.MergeRequest != 0 {
		fields["merge_request"] = event.MergeRequest
	}
	return fields
}
