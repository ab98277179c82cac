package apache

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCertificateWarnings(t *testing.T) {
	from, until := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	const (
		domain = "review.example.org"
		app    = "login." + domain
		renew  = ": renew it, and Apache shows the new one after its next reload"
		todo   = ": apache.tls_certificate should be one for *.review.example.org and review.example.org"
	)
	both := []string{"*." + domain, domain}
	for name, c := range map[string]struct {
		names []string
		host  string
		now   time.Time
		want  []string
	}{
		"good":                           {both, app, from.AddDate(0, 1, 0), nil},
		"good for all":                   {both, "", from.AddDate(0, 1, 0), nil},
		"on its first moment":            {both, app, from, nil},
		"just more than 14 days left":    {both, app, until.Add(-14 * 24 * time.Hour), nil},
		"a little less than 14 days":     {both, app, until.Add(-14*24*time.Hour + time.Second), []string{"the certificate expires in 13 days, on 2026-04-01 12:00 UTC, and then browsers refuse it" + renew}},
		"one day left":                   {both, app, until.Add(-25 * time.Hour), []string{"the certificate expires in 1 day, on 2026-04-01 12:00 UTC, and then browsers refuse it" + renew}},
		"its last moment":                {both, app, until, []string{"the certificate expires within a day, on 2026-04-01 12:00 UTC, and then browsers refuse it" + renew}},
		"expired":                        {both, app, until.Add(time.Second), []string{"the certificate has expired on 2026-04-01 12:00 UTC, so browsers refuse it" + renew}},
		"not yet":                        {both, app, from.Add(-time.Second), []string{"the certificate is not valid before 2026-01-01 00:00 UTC, so browsers refuse it until then: check this host's clock, or get another"}},
		"of another domain":              {[]string{"*.example.org", "example.org"}, app, from, []string{"the certificate is for *.example.org, example.org and not for login.review.example.org, so browsers warn of it" + todo}},
		"of the app alone":               {[]string{app}, app, from, nil},
		"of the app alone, not the rest": {[]string{app}, "", from, []string{"the certificate is for login.review.example.org and not for *.review.example.org, so browsers warn of the apps" + todo, "the certificate is for login.review.example.org and not for review.example.org itself, so browsers warn of the page of all apps" + todo}},
		"not of the domain, for an app":  {both[:1], app, from, nil},
		"not of the domain":              {both[:1], "", from, []string{"the certificate is for *.review.example.org and not for review.example.org itself, so browsers warn of the page of all apps" + todo}},
		"of no name":                     {nil, app, from, []string{"the certificate is for no host name and not for login.review.example.org, so browsers warn of it" + todo}},
		"two things":                     {[]string{domain}, app, until.Add(time.Hour), []string{"the certificate is for review.example.org and not for login.review.example.org, so browsers warn of it" + todo, "the certificate has expired on 2026-04-01 12:00 UTC, so browsers refuse it" + renew}},
	} {
		cfg := certificateOf(t, t.TempDir(), from, until, c.names...)
		if diff := cmp.Diff(c.want, certificateWarnings(cfg, domain, c.host, c.now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCertificateWarnings_FilesThatAreNotAsTheyShouldBe(t *testing.T) {
	now := time.Now()
	good := certificateOf(t, t.TempDir(), now.Add(-time.Hour), now.AddDate(1, 0, 0), "*."+domain, domain)
	other := certificateOf(t, t.TempDir(), now.Add(-time.Hour), now.AddDate(1, 0, 0), "*."+domain, domain)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	key, err := os.ReadFile(good.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(good.TLSCertificate)
	if err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	for name, c := range map[string]struct {
		certificate, key, want string
	}{
		"no TLS":              {"", "", ""},
		"good":                {good.TLSCertificate, good.TLSKey, ""},
		"key and certificate": {file("both", string(key)+string(certificate)), good.TLSKey, ""},
		"none":                {none, good.TLSKey, "the certificate in apache.tls_certificate cannot be read, so nobody here knows whether it is good: open " + none + ": no such file or directory; let the user who runs review-executor read it"},
		"no PEM":              {file("text", "hello\n"), good.TLSKey, file("text", "hello\n") + ", which apache.tls_certificate names, holds no certificate in PEM, so Apache will not start with it: put the certificate and its chain there, in PEM"},
		"only a key":          {good.TLSKey, good.TLSKey, good.TLSKey + ", which apache.tls_certificate names, holds no certificate in PEM, so Apache will not start with it: put the certificate and its chain there, in PEM"},
		"cut off":             {file("cut", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), good.TLSKey, dir + "/cut, which apache.tls_certificate names, holds a certificate that cannot be read (x509: malformed certificate), so Apache will not start with it: put the certificate and its chain there, in PEM"},
		"another's key":       {good.TLSCertificate, other.TLSKey, "the key in " + other.TLSKey + " and the certificate are no pair, so Apache will not start with them (tls: private key does not match public key): put the key there that the certificate was made with"},
		"no key":              {good.TLSCertificate, none, "there is no " + none + ", which apache.tls_key names, so Apache will not start"},
		"a key not for us":    {good.TLSCertificate, dir, ""}, // nobody reads a directory, not even root
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		if diff := cmp.Diff(want, certificateWarnings(Config{TLSCertificate: c.certificate, TLSKey: c.key}, domain, "login."+domain, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// certificateOf makes a certificate of these names and its key.
func certificateOf(t *testing.T, dir string, from, until time.Time, names ...string) Config {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{TLSCertificate: filepath.Join(dir, "tls.pem"), TLSKey: filepath.Join(dir, "tls.key")}
	write(t, c.TLSCertificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, c.TLSKey, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})))
	return c
}
