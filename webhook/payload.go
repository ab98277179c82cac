package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gitlab.com/review-executor/review-executor/review"
)

// errPayload is a payload that is not what its sender documents.
var errPayload = errors.New("the payload")

// irrelevant is an event that ends nothing, and why.
type irrelevant struct{ why string }

func (i irrelevant) Error() string { return i.why }

// nothing is the answer to an event that ends nothing.
func nothing(format string, args ...any) (review.Event, error) {
	return review.Event{}, irrelevant{fmt.Sprintf(format, args...)}
}

// decode reads the fields of a payload that are asked for.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("%w is no JSON", errPayload)
		}
		return fmt.Errorf("%w has a field of another type than documented", errPayload)
	}
	return nil
}

// maxName is more than GitLab and git allow for branches, environments and paths.
const maxName = 1024

// checked refuses an event that lacks what its kind needs, or names something as
// nobody can.
func checked(event review.Event) (review.Event, error) {
	if event.ProjectID < 0 || event.ProjectID == 0 && event.Project == "" {
		return review.Event{}, fmt.Errorf("%w names no project", errPayload)
	}
	if event.MergeRequest < 0 {
		return review.Event{}, fmt.Errorf("%w has no number of a merge request", errPayload)
	}
	needed := map[string]string{
		review.BranchDeleted:      event.Branch,
		review.EnvironmentChanged: event.Environment,
	}
	if name, needs := needed[event.Kind]; needs && name == "" {
		return review.Event{}, fmt.Errorf("%w does not say which one: %s", errPayload, event.Kind)
	}
	for _, name := range []string{event.Project, event.Branch, event.Environment} {
		if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return review.Event{}, fmt.Errorf("%w has a name that nothing can have", errPayload)
		}
	}
	return event, nil
}
