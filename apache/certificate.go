package apache

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// expiresSoon is when a certificate's end is told of. Those of Let's Encrypt are
// renewed 30 days before it.
const expiresSoon = 14 * 24 * time.Hour

// certificateWarnings tells what is wrong with the certificate for the host, or
// soon will be, one sentence each. With host "" it is about the domain itself
// and any app under it. There is none without TLS.
func certificateWarnings(c Config, domain, host string, now time.Time) []string {
	if !c.tls() {
		return nil
	}
	text, err := os.ReadFile(c.TLSCertificate)
	if err != nil {
		return []string{fmt.Sprintf("the certificate in apache.tls_certificate cannot be read, so nobody here knows whether it is good: %v; let the user who runs review-executor read it", err)}
	}
	leaf, err := leafOf(text)
	if err != nil {
		return []string{fmt.Sprintf("%s, which apache.tls_certificate names, %v, so Apache will not start with it: put the certificate and its chain there, in PEM", c.TLSCertificate, err)}
	}
	warnings := append(uncovered(leaf, domain, host), outOfTime(leaf, now)...)
	if problem := keyProblem(text, c.TLSKey); problem != "" {
		warnings = append(warnings, problem)
	}
	return warnings
}

// leafOf is the first certificate of a PEM file, which is the one that Apache shows.
func leafOf(text []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("holds no certificate in PEM")
		}
		if block.Type != "CERTIFICATE" {
			continue // a key may be in the same file
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a certificate that cannot be read (%w)", err)
		}
		return leaf, nil
	}
}

func uncovered(leaf *x509.Certificate, domain, host string) []string {
	todo := fmt.Sprintf("apache.tls_certificate should be one for *.%[1]s and %[1]s", domain)
	covers := func(name string) bool { return leaf.VerifyHostname(name) == nil }
	switch {
	case host != "" && covers(host):
		return nil
	case host != "":
		return []string{fmt.Sprintf("the certificate is for %s and not for %s, so browsers warn of it: %s", namesOf(leaf), host, todo)}
	}
	var warnings []string
	if !covers("any-app." + domain) {
		warnings = append(warnings, fmt.Sprintf("the certificate is for %s and not for *.%s, so browsers warn of the apps: %s", namesOf(leaf), domain, todo))
	}
	if !covers(domain) {
		warnings = append(warnings, fmt.Sprintf("the certificate is for %s and not for %s itself, so browsers warn of the page of all apps: %s", namesOf(leaf), domain, todo))
	}
	return warnings
}

func namesOf(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) == 0 {
		return "no host name"
	}
	return strings.Join(leaf.DNSNames, ", ")
}

func outOfTime(leaf *x509.Certificate, now time.Time) []string {
	const renew = "renew it, and Apache shows the new one after its next reload"
	left := leaf.NotAfter.Sub(now)
	switch {
	case now.Before(leaf.NotBefore):
		return []string{fmt.Sprintf("the certificate is not valid before %s, so browsers refuse it until then: check this host's clock, or get another", moment(leaf.NotBefore))}
	case left < 0:
		return []string{fmt.Sprintf("the certificate has expired on %s, so browsers refuse it: %s", moment(leaf.NotAfter), renew)}
	case left < expiresSoon:
		return []string{fmt.Sprintf("the certificate expires %s, on %s, and then browsers refuse it: %s", in(left), moment(leaf.NotAfter), renew)}
	}
	return nil
}

// keyProblem tells whether the key is another certificate's. On a packaged host only
// Apache may read it, and then nothing is said.
func keyProblem(certificate []byte, file string) string {
	key, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("there is no %s, which apache.tls_key names, so Apache will not start", file)
	}
	if err != nil {
		return ""
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return fmt.Sprintf("the key in %s and the certificate are no pair, so Apache will not start with them (%v): put the key there that the certificate was made with", file, err)
	}
	return ""
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func in(left time.Duration) string {
	switch days := int(left.Hours() / 24); days {
	case 0:
		return "within a day"
	case 1:
		return "in 1 day"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}
