package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
)

// gitlabID is what tells an event of GitLab from others, and is the same when it is
// sent again. Idempotency-Key is made for that (GitLab 17.4). Before it there is
// X-Gitlab-Event-UUID, which all the events have that one cause has, so the body
// belongs to it; X-Gitlab-Webhook-UUID is another one each time. An event without
// either is taken for a new one: the same body may well come twice, when a branch
// is made and deleted again.
func gitlabID(h http.Header, body []byte) (string, error) {
	if key := h.Get("Idempotency-Key"); key != "" {
		return senderID("gitlab", key)
	}
	if uuid := h.Get("X-Gitlab-Event-UUID"); uuid != "" {
		return senderID("gitlab", uuid+":"+hash(string(body)))
	}
	return senderID("gitlab", rand.Text())
}

// githubID is X-GitHub-Delivery, which is the same when it is delivered again.
func githubID(h http.Header) (string, error) {
	return senderID("github", h.Get("X-GitHub-Delivery"))
}

// maxID is more than any sender's.
const maxID = 200

// senderID is an ID that no other sender's event can have. What a sender calls its
// event is letters, digits and - _ . : only, because logs and files tell it.
func senderID(sender, id string) (string, error) {
	if id == "" {
		return "", errors.New("the event has no ID")
	}
	if len(id) > maxID {
		return "", errors.New("the event's ID is too long")
	}
	for _, c := range []byte(id) {
		if !isIDByte(c) {
			return "", errors.New("the event's ID has characters that no ID has")
		}
	}
	return sender + ":" + id, nil
}

func isIDByte(c byte) bool {
	switch c {
	case '-', '_', '.', ':':
		return true
	}
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// hash is short enough for a file's name and long enough to be nobody else's.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
