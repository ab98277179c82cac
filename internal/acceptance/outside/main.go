// Command outside is what a review host asks and has not on it: a GitLab and a name
// server, on its loopback, for tests. Files in the directory that is its argument say
// what they answer, each time anew:
//
//	address  what every name leads to; without the file no name is found
//	scopes   of the token gitlabtest has; without the file it is api
//	expires  the date on which the token ends
//	ahead    by how long GitLab's clock goes before this host's: 1h
//
// GitLab is at http://127.0.0.1:8929, and with outside.crt and outside.key there also at
// https://127.0.0.1.
package main

import (
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gitlab.com/review-executor/review-executor/gitlab/gitlabtest"
)

// outside is the directory.
type outside string

// says is what a file there says; "": it is not there.
func (o outside) says(file string) string {
	text, _ := os.ReadFile(filepath.Join(string(o), file))
	return strings.TrimSpace(string(text))
}

func main() {
	o := outside(os.Args[1])
	gitlab := o.gitlab()
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:8929", gitlab)) }() //nolint:gosec // a test's
	go func() {
		log.Print(http.ListenAndServeTLS("127.0.0.1:443", filepath.Join(string(o), "outside.crt"), filepath.Join(string(o), "outside.key"), gitlab))
	}() //nolint:gosec // a test's
	log.Fatal(o.serveNames())
}

func (o outside) gitlab() http.HandlerFunc {
	gitlab := gitlabtest.New()
	return func(w http.ResponseWriter, r *http.Request) {
		scopes := strings.Fields(o.says("scopes"))
		if len(scopes) == 0 {
			scopes = []string{"api"}
		}
		gitlab.SetToken(o.says("expires"), scopes...)
		if ahead, err := time.ParseDuration(o.says("ahead")); err == nil {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}
		gitlab.ServeHTTP(w, r)
	}
}

func (o outside) serveNames() error {
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return err
	}
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if answer, err := o.answer(buffer[:n]); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// answer answers a question for an IPv4 address.
func (o outside) answer(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	address, err := netip.ParseAddr(o.says("address"))
	for _, q := range m.Questions {
		switch {
		case err != nil:
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return m.Pack()
}
