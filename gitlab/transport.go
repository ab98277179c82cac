package gitlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
)

// blanks are JSON's.
const blanks = " \t\r\n"

// maxAnswer is more than a page of a hundred of anything.
const maxAnswer = 32 << 20

// answer is what came for a request. The transport notes it, because client-go
// does not tell it of an error.
type answer struct {
	request string // GET https://gitlab.example.com/api/v4/projects/7
	status  int    // 0: none came
	header  http.Header
	body    []byte // without leading blanks
}

type answerKey struct{}

// anewKey marks a context in which nothing that is kept is used.
type anewKey struct{}

// noting is ctx with a place for the answer.
func noting(ctx context.Context) (context.Context, *answer) {
	got := &answer{}
	return context.WithValue(ctx, answerKey{}, got), got
}

// errOdd is of an answer that is not GitLab's, or not all of it.
type errOdd struct{ what, hint string }

func (e *errOdd) Error() string { return e.what }

// transport reads every answer to its end and lets only whole JSON pass as a
// success. Pages that are kept are asked for by their ETag.
type transport struct {
	base http.RoundTripper
	kept *etags // nil: none are
}

// RoundTrip does not change the request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	got, _ := req.Context().Value(answerKey{}).(*answer)
	if got == nil {
		got = &answer{}
	}
	*got = answer{request: req.Method + " " + req.URL.String()}
	var old *page
	if req.Context().Value(anewKey{}) == nil {
		old = t.kept.load(req)
	}
	resp, body, err := t.send(req, old)
	unchanged := err == nil && resp.StatusCode == http.StatusNotModified && old != nil
	if unchanged && old.mayHaveGrown(resp.Header) {
		resp, body, err = t.send(req, nil)
		unchanged = false
	}
	if err != nil {
		return nil, err
	}
	if unchanged {
		body = old.revive(resp)
		t.kept.touch(req)
	}
	got.status, got.header, got.body = resp.StatusCode, resp.Header, bytes.TrimLeft(body, blanks)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if err := checkJSON(resp, body); err != nil {
			return nil, err
		}
	}
	if !unchanged {
		t.kept.save(req, resp, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// send returns the answer with its whole body, which is closed.
func (t *transport) send(req *http.Request, old *page) (*http.Response, []byte, error) {
	if old != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", old.ETag)
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("the answer ended after %d bytes: %w", len(body), err)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxAnswer {
		return nil, nil, &errOdd{fmt.Sprintf("answered with more than %d MiB", maxAnswer>>20), hintOdd}
	}
	return resp, body, nil
}

// checkJSON makes sure that a list is one of objects: client-go would panic at null.
func checkJSON(resp *http.Response, body []byte) error {
	odd := func(hint, format string, args ...any) error {
		return &errOdd{"answered " + resp.Status + " " + fmt.Sprintf(format, args...), hint}
	}
	if !isJSON(resp.Header) {
		return odd(hintOdd, "with %q where JSON is due: %s", resp.Header.Get("Content-Type"), excerpt(body))
	}
	if !json.Valid(body) {
		return odd(hintOdd, "with %d bytes that are not whole JSON", len(body))
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, blanks), []byte("[")) {
		return nil
	}
	var items []*struct{}
	if err := json.Unmarshal(body, &items); err != nil {
		return odd(hintShape, "with a list that is not one of objects: %v", err)
	}
	if slices.Contains(items, nil) {
		return odd(hintShape, "with a list of which one item is null")
	}
	return nil
}

func isJSON(header http.Header) bool {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
