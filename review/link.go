package review

import (
	"fmt"
	"net/url"
	"regexp"
)

// plainLink is what a page of GitLab's is addressed by: nothing of it means more
// than itself in HTML or in a header.
var plainLink = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%/-]*)?$`)

// CheckLink tells what is wrong with an address that people are sent to.
func CheckLink(link string) error {
	if _, err := url.Parse(link); err != nil || len(link) > 500 || !plainLink.MatchString(link) {
		return fmt.Errorf("%s is no plain http or https address", Printable(link, 80))
	}
	return nil
}
